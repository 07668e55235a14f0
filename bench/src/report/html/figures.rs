//! The pictures in the page, what the script knows about them, and the legend that leaves contenders out of all of them.

use std::fmt::Write as _;

use super::super::charts::{Picture, look};
use super::super::series::Stepped;
use super::super::summary::Table;
use super::escape;
use crate::results::schema::Session;
use crate::scenario::Scenario;

/// Whether a picture belongs to a table.
fn shows(session: &Session, picture: &Picture, table: &Table) -> bool {
    let begins = |name: &str| picture.name.starts_with(name);
    let scenario = table.scenario;
    if begins("ratios-") {
        let tuned = if table.is_tuned() { "-tuned" } else { "" };
        return picture.name == format!("ratios-{}{tuned}", scenario.name());
    }
    if table.is_tuned() {
        return false;
    }
    match scenario {
        Scenario::Steady => picture.name == "latency" || begins("histogram-"),
        Scenario::Curve => begins("curve"),
        Scenario::Step | Scenario::Burst => {
            (begins("step") || begins("heat-")) && Stepped::of(session).scenario == scenario
                || begins(&format!("cost-{}-", scenario.name()))
        }
        // The others have ratios only.
        _ => false,
    }
}

/// The pictures of a table; those that are one contender's stand side by side.
pub(super) fn put(page: &mut String, session: &Session, pictures: &[Picture], table: &Table) {
    let mut open = false;
    for picture in pictures.iter().filter(|picture| shows(session, picture, table)) {
        if picture.panel.is_some() != open {
            page.push_str(if open { "</div>\n" } else { "<div class=\"panels\">\n" });
            open = !open;
        }
        one(page, picture);
    }
    if open {
        page.push_str("</div>\n");
    }
}

fn one(page: &mut String, picture: &Picture) {
    let class = picture.panel.as_ref().map_or_else(String::new, |panel| format!(" class=\"panel c{}\"", panel.place));
    let _ =
        write!(page, "<figure id=\"{}\"{class}>\n<div class=\"scroll\">{}</div>\n", escape(&picture.name), picture.svg);
    if let Some(values) = picture.values.json() {
        // A `<` cannot end the element when it is written as JavaScript's escape.
        let values = values.to_string().replace('<', "\\u003c");
        let _ = writeln!(page, "<script type=\"application/json\" class=\"values\">{values}</script>");
    }
    let _ = writeln!(page, "<figcaption>{}</figcaption>\n</figure>", escape(&picture.caption));
}

/// A box to tick for each contender. It works without a script, see [`rules`].
pub(super) fn legend(page: &mut String, session: &Session) {
    page.push_str("<fieldset class=\"legend\">\n<legend>Contenders shown in charts and tables</legend>\n");
    for (place, entrant) in session.compared().enumerate().filter(|(_, entrant)| entrant.missing.is_none()) {
        let stroke = look::stroke(place);
        let dashes = stroke.dashes.map_or_else(String::new, |(dash, gap)| {
            format!(" stroke-dasharray=\"{} {}\"", f64::from(dash) / 2.0, f64::from(gap) / 2.0)
        });
        let (red, green, blue) = (stroke.colour.0, stroke.colour.1, stroke.colour.2);
        let _ = writeln!(
            page,
            "<label><input type=\"checkbox\" id=\"show-{place}\" checked><svg width=\"34\" height=\"12\" aria-hidden=\"true\"><line x1=\"0\" x2=\"34\" y1=\"6\" y2=\"6\" stroke=\"#{red:02X}{green:02X}{blue:02X}\" stroke-width=\"4\"{dashes}/></svg><span>{}</span></label>",
            escape(&entrant.title)
        );
    }
    page.push_str("</fieldset>\n");
}

/// Style rules by which a box that is not ticked leaves its contender out everywhere.
pub(super) fn rules(session: &Session) -> String {
    (0..session.compared().count())
        .map(|place| format!("body:has(#show-{place}:not(:checked)) .c{place}{{display:none}}"))
        .collect()
}
