//! The body of a submitted form: URL-encoded, or multipart when it carries a file. Pure.

use form_urlencoded::Serializer;

/// One field of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// What it carries.
    pub value: FieldValue,
}

/// What a field carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldValue {
    /// Text.
    Text(String),
    /// An uploaded file.
    File {
        /// Its name, without folders.
        name: String,
        /// Its bytes.
        content: Vec<u8>,
    },
}

/// An encoded form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedForm {
    /// The `Content-Type` that says how.
    pub content_type: String,
    /// The request body.
    pub body: Vec<u8>,
}

/// Encodes `fields` as a browser does: `application/x-www-form-urlencoded`, or
/// `multipart/form-data` when one of them is a file.
#[must_use]
pub fn encode_form(fields: &[Field]) -> EncodedForm {
    let mut text = Serializer::new(String::new());
    for field in fields {
        match &field.value {
            FieldValue::Text(value) => text.append_pair(&field.name, value),
            FieldValue::File { .. } => return multipart(fields),
        };
    }
    EncodedForm { content_type: "application/x-www-form-urlencoded".to_owned(), body: text.finish().into_bytes() }
}

/// RFC 7578.
fn multipart(fields: &[Field]) -> EncodedForm {
    let boundary = boundary(fields);
    let mut body = Vec::new();
    for field in fields {
        let (disposition, content_type, content) = match &field.value {
            FieldValue::Text(text) => (String::new(), "", text.as_bytes()),
            FieldValue::File { name, content } => (
                format!("; filename=\"{}\"", quoted(name)),
                "Content-Type: application/octet-stream\r\n",
                content.as_slice(),
            ),
        };
        let name = quoted(&field.name);
        let head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"{disposition}\r\n{content_type}\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    EncodedForm { content_type: format!("multipart/form-data; boundary={boundary}"), body }
}

/// A boundary that no content contains (RFC 2046 §5.1.1): the first of a fixed sequence, so that a
/// plan has the same body each time.
fn boundary(fields: &[Field]) -> String {
    let contains = |candidate: &str| {
        fields.iter().any(|field| {
            let content = match &field.value {
                FieldValue::Text(text) => text.as_bytes(),
                FieldValue::File { content, .. } => content,
            };
            content.windows(candidate.len()).any(|window| window == candidate.as_bytes())
        })
    };
    let mut number = 0u64;
    loop {
        let candidate = format!("loadgen-form-{number}");
        if !contains(&candidate) {
            return candidate;
        }
        number += 1;
    }
}

/// A name inside quotes, escaped as browsers do (HTML, "multipart/form-data encoding algorithm").
fn quoted(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(name: &str, value: &str) -> Field {
        Field { name: name.to_owned(), value: FieldValue::Text(value.to_owned()) }
    }

    #[test]
    fn text_is_url_encoded() {
        let form = encode_form(&[text("name", "a b&c"), text("ü", "=")]);
        assert_eq!(form.content_type, "application/x-www-form-urlencoded");
        assert_eq!(String::from_utf8(form.body).unwrap(), "name=a+b%26c&%C3%BC=%3D");
    }

    #[test]
    fn a_file_makes_it_multipart() {
        let content = b"\x00\xff loadgen-form-0".to_vec();
        let file = FieldValue::File { name: "a\"b.bin".to_owned(), content };
        let form = encode_form(&[text("note", "hi"), Field { name: "upload".to_owned(), value: file }]);
        // The first boundary occurs in the file.
        assert_eq!(form.content_type, "multipart/form-data; boundary=loadgen-form-1");
        let expected = b"--loadgen-form-1\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nhi\r\n\
            --loadgen-form-1\r\nContent-Disposition: form-data; name=\"upload\"; filename=\"a%22b.bin\"\r\n\
            Content-Type: application/octet-stream\r\n\r\n\x00\xff loadgen-form-0\r\n--loadgen-form-1--\r\n";
        assert_eq!(form.body, expected);
    }

    #[test]
    fn an_empty_form_is_an_empty_body() {
        assert_eq!(encode_form(&[]).body, b"");
    }
}
