//! Content-Type by a file's extension.

use std::borrow::Cow;

/// Where the registry of extensions is behind: RFC 9239 for modules, the source map specification (ECMA-426) for maps,
/// RFC 8878; and a compressed picture, which without its Content-Encoding is no picture.
const OURS: [(&str, &str); 4] = [
    ("mjs", "text/javascript"),
    ("map", "application/json"),
    ("zst", "application/zstd"),
    ("svgz", "application/gzip"),
];

/// What is not known is sent as bytes, and nobody shall guess.
const UNKNOWN: &str = "application/octet-stream";

/// The media type of a file of this name. Text is said to be UTF-8.
pub(super) fn of(name: &[u8]) -> Cow<'static, str> {
    let file = name.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    let dot = file.iter().rposition(|byte| *byte == b'.');
    let Some(extension) = dot.and_then(|dot| str::from_utf8(&file[dot + 1..]).ok()) else {
        return UNKNOWN.into();
    };
    let ours = OURS.iter().find(|(known, _)| extension.eq_ignore_ascii_case(known)).map(|(_, media_type)| *media_type);
    match ours.or_else(|| mime_guess::from_ext(extension).first_raw()) {
        Some(text) if text.starts_with("text/") => format!("{text}; charset=utf-8").into(),
        Some(known) => known.into(),
        None => UNKNOWN.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_say_what_a_file_is() {
        let table = [
            ("index.html", "text/html; charset=utf-8"),
            ("a/app.CSS", "text/css; charset=utf-8"),
            ("app.js", "text/javascript; charset=utf-8"),
            ("app.mjs", "text/javascript; charset=utf-8"),
            ("app.js.map", "application/json"),
            ("robots.txt", "text/plain; charset=utf-8"),
            ("data.json", "application/json"),
            ("app.webmanifest", "application/manifest+json"),
            ("logo.svg", "image/svg+xml"),
            ("photo.JPG", "image/jpeg"),
            ("photo.webp", "image/webp"),
            ("photo.avif", "image/avif"),
            ("favicon.ico", "image/x-icon"),
            ("font.woff2", "font/woff2"),
            ("app.wasm", "application/wasm"),
            ("film.mp4", "video/mp4"),
            ("paper.pdf", "application/pdf"),
            // The file itself, not what was compressed.
            ("data.tar.gz", "application/gzip"),
            ("app.css.zst", "application/zstd"),
            ("LICENSE", UNKNOWN),
            ("a.d/LICENSE", UNKNOWN),
            ("what.is-this", UNKNOWN),
            ("dot.", UNKNOWN),
            ("", UNKNOWN),
        ];
        for (name, expected) in table {
            assert_eq!(of(name.as_bytes()), expected, "{name}");
        }
        assert_eq!(of(b"a.\xff"), UNKNOWN);
    }
}
