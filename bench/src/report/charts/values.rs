//! What a picture says in numbers, and where: for the page's script, which shows them under the pointer.

use serde_json::{Value, json};

/// How the values belong together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum By {
    /// Everybody's at one place of the horizontal axis.
    #[default]
    Column,
    /// Each by itself.
    Point,
}

/// One value where it is drawn, in the units of the picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Point {
    pub(crate) at: (i32, i32),
    /// The place of its contender in the session.
    pub(crate) place: usize,
    /// Where that is, in words: a second, a percentile.
    pub(crate) place_in_words: String,
    pub(crate) value: String,
}

/// The values of a picture; none where it has no more to say than one sees.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Values {
    pub(crate) by: By,
    /// Top and bottom of what is drawn.
    pub(crate) span: (i32, i32),
    pub(crate) points: Vec<Point>,
}

impl Values {
    /// For the script; `None` where there is nothing to show.
    pub(crate) fn json(&self) -> Option<Value> {
        let points = self.points.iter().map(|point| {
            let (x, y) = point.at;
            json!([x, y, point.place, point.place_in_words, point.value])
        });
        (!self.points.is_empty()).then(|| {
            json!({
                "by": match self.by { By::Column => "column", By::Point => "point" },
                "span": [self.span.0, self.span.1],
                "points": points.collect::<Vec<_>>(),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_gets_places_and_words() {
        let point = Point { at: (3, 4), place: 1, place_in_words: "99 %".into(), value: "2 ms".into() };
        let values = Values { by: By::Point, span: (0, 9), points: vec![point] };
        let expected = json!({"by": "point", "span": [0, 9], "points": [[3, 4, 1, "99 %", "2 ms"]]});
        assert_eq!(values.json(), Some(expected));
        assert_eq!(Values::default().json(), None);
    }
}
