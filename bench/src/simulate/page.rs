//! `simulation.html`: tables and pictures in one file without anything from outside.

use std::fmt::Write as _;

use crate::report::charts::{DARK, Picture};
use crate::report::html::{STYLE, escape};

/// One scenario's part: its table as text, and its pictures.
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) table: String,
    pub(crate) pictures: Vec<Picture>,
}

/// Writes the page.
pub(crate) fn page(seed: u64, parts: &[Part], legend: &str, cost: &Picture) -> String {
    let title = "Policies, simulated";
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <style>\n{STYLE}@media screen and (prefers-color-scheme: dark){{{DARK}}}\npre{{overflow-x:auto}}\n</style>\n\
         </head>\n<body>\n<main>\n<header>\n<h1>{title}</h1>\n<p class=\"sub\">the server's policies on a model of server, \
         machine and clients · seed {seed}</p>\n</header>\n"
    );
    figure(&mut page, cost);
    let _ = writeln!(page, "<pre>{}</pre>", escape(legend));
    for part in parts {
        let _ = writeln!(page, "<h2>{}</h2>\n<pre>{}</pre>", escape(&part.name), escape(&part.table));
        for picture in &part.pictures {
            figure(&mut page, picture);
        }
    }
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

fn figure(page: &mut String, picture: &Picture) {
    let _ = writeln!(page, "<figure>{}<figcaption>{}</figcaption></figure>", picture.svg, escape(&picture.caption));
}
