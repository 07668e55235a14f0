//! Tables of plain cells, one line per thing that was tried or measured.

use std::fmt::Write as _;

use super::escape;

/// Writes a table whose first line has the names of the columns.
pub(super) fn put(page: &mut String, rows: &[Vec<String>]) {
    let Some((titles, rows)) = rows.split_first() else {
        return;
    };
    page.push_str("<div class=\"wide\"><table>\n<thead><tr>");
    for title in titles {
        let _ = write!(page, "<th>{}</th>", escape(title));
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    for row in rows {
        page.push_str("<tr>");
        for (column, cell) in row.iter().enumerate() {
            let _ = if column == 0 {
                write!(page, "<th scope=\"row\">{}</th>", escape(cell))
            } else {
                write!(page, "<td>{}</td>", escape(cell))
            };
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody></table></div>\n");
}

#[cfg(test)]
mod tests {
    #[test]
    fn cells_are_texts() {
        let mut page = String::new();
        super::put(&mut page, &[vec!["a".into(), "b".into()], vec!["<x>".into(), "1".into()]]);
        assert!(page.contains("<tr><th scope=\"row\">&lt;x&gt;</th><td>1</td></tr>"), "{page}");
        let mut page = String::new();
        super::put(&mut page, &[]);
        assert_eq!(page, "");
    }
}
