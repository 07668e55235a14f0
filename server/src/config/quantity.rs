//! Quantities as operators write them: durations (`500ms`, `30s`, `2m`, plain seconds), sizes (`64k`, `10m`, `1g`),
//! counts of at least one, and anything that can be `off`. Each reads itself from an option's text and from a TOML
//! value, and writes itself so that it can be read again.

use std::fmt;
use std::marker::PhantomData;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};

/// Why a text is no such quantity. Says what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum QuantityError {
    /// Not a duration.
    #[error("'{0}' is not a duration; give seconds or a number with ms, s, m or h, e.g. 500ms, 30s, 2m")]
    Duration(String),
    /// Not a size.
    #[error("'{0}' is not a size; give bytes or a number with k, m or g (powers of 1024), e.g. 64k, 10m")]
    Size(String),
    /// Not a count.
    #[error("'{0}' is not a whole number from 1 to {MAX_COUNT}")]
    Count(String),
    /// Not a file's mode.
    #[error("'{0}' is not a mode; give three octal digits, e.g. 660")]
    Mode(String),
}

/// More processes or threads than this are a slip of the keyboard.
const MAX_COUNT: u32 = 65_536;

/// A duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span(pub(crate) Duration);

impl FromStr for Span {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Span, QuantityError> {
        let wrong = || QuantityError::Duration(text.to_owned());
        let trimmed = text.trim();
        let unit_at = trimmed.find(|character: char| character.is_ascii_alphabetic()).unwrap_or(trimmed.len());
        let (number, unit) = trimmed.split_at(unit_at);
        let seconds_per_unit = match unit {
            "ms" => 0.001,
            "" | "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return Err(wrong()),
        };
        let number = number.trim_end();
        // Keeps out what only `f64` would take: signs and exponents.
        if !number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
            return Err(wrong());
        }
        let number: f64 = number.parse().map_err(|_| wrong())?;
        Duration::try_from_secs_f64(number * seconds_per_unit).map(Span).map_err(|_| wrong())
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = self.0.as_millis();
        if self.0.subsec_nanos() == 0 {
            write!(f, "{}s", self.0.as_secs())
        } else if Duration::from_millis(u64::try_from(milliseconds).unwrap_or(u64::MAX)) == self.0 {
            write!(f, "{milliseconds}ms")
        } else {
            write!(f, "{}s", self.0.as_secs_f64())
        }
    }
}

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size(pub(crate) u64);

impl FromStr for Size {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Size, QuantityError> {
        let wrong = || QuantityError::Size(text.to_owned());
        let trimmed = text.trim();
        let digits_end = trimmed.find(|character: char| !character.is_ascii_digit()).unwrap_or(trimmed.len());
        let (number, unit) = trimmed.split_at(digits_end);
        let shift = match unit.to_ascii_lowercase().as_str() {
            "" | "b" => 0,
            "k" | "kb" | "kib" => 10,
            "m" | "mb" | "mib" => 20,
            "g" | "gb" | "gib" => 30,
            _ => return Err(wrong()),
        };
        let number: u64 = number.parse().map_err(|_| wrong())?;
        number.checked_mul(1 << shift).map(Size).ok_or_else(wrong)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (shift, unit) = match self.0 {
            0 => (0, ""),
            bytes if bytes.is_multiple_of(1 << 30) => (30, "g"),
            bytes if bytes.is_multiple_of(1 << 20) => (20, "m"),
            bytes if bytes.is_multiple_of(1 << 10) => (10, "k"),
            _ => (0, ""),
        };
        write!(f, "{}{unit}", self.0 >> shift)
    }
}

/// A number of processes or threads: at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Count(NonZeroU32);

impl Count {
    /// The number, never 0.
    pub(crate) fn get(self) -> u32 {
        self.0.get()
    }

    /// `number`, or the nearest count to it.
    pub(crate) fn nearest(number: u32) -> Count {
        Count(NonZeroU32::new(number.min(MAX_COUNT)).unwrap_or(NonZeroU32::MIN))
    }
}

impl FromStr for Count {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Count, QuantityError> {
        let number: Option<NonZeroU32> =
            text.trim().parse().ok().filter(|number: &NonZeroU32| number.get() <= MAX_COUNT);
        number.map(Count).ok_or_else(|| QuantityError::Count(text.to_owned()))
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Permissions of a file: who may read, write and execute it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mode(pub(crate) u32);

impl FromStr for Mode {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Mode, QuantityError> {
        let digits = text.trim();
        // With or without the 0 that marks octal numbers elsewhere.
        let fits = matches!(digits.len(), 3 | 4) && digits.bytes().all(|digit| matches!(digit, b'0'..=b'7'));
        let mode = u32::from_str_radix(digits, 8).ok().filter(|mode| fits && *mode <= 0o777);
        mode.map(Mode).ok_or_else(|| QuantityError::Mode(text.to_owned()))
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:03o}", self.0)
    }
}

/// A value that can be switched off with the word `off`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Switch<T> {
    /// `off`.
    Off,
    /// The value.
    On(T),
}

impl<T: FromStr> FromStr for Switch<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Switch<T>, T::Err> {
        if text == "off" { Ok(Switch::Off) } else { text.parse().map(Switch::On) }
    }
}

impl<T: fmt::Display> fmt::Display for Switch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Switch::Off => f.write_str("off"),
            Switch::On(value) => value.fmt(f),
        }
    }
}

/// Takes a TOML string, integer or float as the text an operator would have typed.
struct AsText;

impl Visitor<'_> for AsText {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or a number")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<String, E> {
        Ok(number.to_string())
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<String, E> {
        Ok(number.to_string())
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<String, E> {
        Ok(number.to_string())
    }
}

/// Reads a quantity from whatever TOML value it was written as.
fn from_any<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: FromStr<Err: fmt::Display>,
    D: Deserializer<'de>,
{
    deserializer.deserialize_any(AsText)?.parse().map_err(de::Error::custom)
}

/// Reads a list of quantities, or a single one as a list. Each element's own complaint is kept (an untagged enum would
/// lose it).
pub(super) fn one_or_many<'de, T, D>(deserializer: D) -> Result<Option<Vec<T>>, D::Error>
where
    T: FromStr<Err: fmt::Display> + Deserialize<'de>,
    D: Deserializer<'de>,
{
    struct List<T>(PhantomData<T>);

    impl<'de, T: FromStr<Err: fmt::Display> + Deserialize<'de>> Visitor<'de> for List<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string or a list of strings")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Vec<T>, E> {
            Ok(vec![text.parse().map_err(E::custom)?])
        }

        fn visit_seq<A: de::SeqAccess<'de>>(self, mut elements: A) -> Result<Vec<T>, A::Error> {
            let mut list = Vec::new();
            while let Some(element) = elements.next_element()? {
                list.push(element);
            }
            Ok(list)
        }
    }

    deserializer.deserialize_any(List(PhantomData)).map(Some)
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Span, D::Error> {
        from_any(deserializer)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Size, D::Error> {
        from_any(deserializer)
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Mode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Mode, D::Error> {
        from_any(deserializer)
    }
}

impl Serialize for Mode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Count, D::Error> {
        from_any(deserializer)
    }
}

impl Serialize for Count {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(self.get())
    }
}

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for Switch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Switch<T>, D::Error> {
        from_any(deserializer)
    }
}

impl<T: fmt::Display> Serialize for Switch<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Serialises a duration as a number of seconds.
pub(super) mod seconds {
    use std::time::Duration;

    use serde::de::{Deserialize, Deserializer, Error};
    use serde::ser::Serializer;

    pub(crate) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(duration.as_secs_f64())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        Duration::try_from_secs_f64(f64::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let table = [
            ("500ms", 500),
            ("30s", 30_000),
            ("30", 30_000),
            ("0", 0),
            ("1.5", 1500),
            ("1.5s", 1500),
            ("2m", 120_000),
            ("2 m", 120_000),
            ("1h", 3_600_000),
            (" 10s ", 10_000),
        ];
        for (text, milliseconds) in table {
            let span = Span(Duration::from_millis(milliseconds));
            assert_eq!(text.parse(), Ok(span), "{text}");
            assert_eq!(span.to_string().parse(), Ok(span), "{text} again from its own text");
        }
        for text in
            ["", "s", "-1", "+1", "1e3", "5 minutes", "1d", "ms", "inf", "nan", "1.2.3", "99999999999999999999h"]
        {
            let message = text.parse::<Span>().unwrap_err().to_string();
            let expected = "is not a duration; give seconds or a number with ms, s, m or h, e.g. 500ms, 30s, 2m";
            assert_eq!(message, format!("'{text}' {expected}"));
        }
        let odd = Span(Duration::from_micros(1_500));
        assert_eq!(odd.to_string().parse(), Ok(odd), "finer than a millisecond");
    }

    #[test]
    fn sizes() {
        let table = [
            ("0", 0, "0"),
            ("8190", 8190, "8190"),
            ("64k", 65_536, "64k"),
            ("64K", 65_536, "64k"),
            ("64KiB", 65_536, "64k"),
            ("10m", 10 << 20, "10m"),
            ("1g", 1 << 30, "1g"),
            ("1024", 1024, "1k"),
        ];
        for (text, bytes, written) in table {
            assert_eq!(text.parse(), Ok(Size(bytes)), "{text}");
            assert_eq!(Size(bytes).to_string(), written);
            assert_eq!(written.parse(), Ok(Size(bytes)), "{written}");
        }
        for text in ["", "k", "-1", "1.5m", "1t", "99999999999g", "18446744073709551616"] {
            let message = text.parse::<Size>().unwrap_err().to_string();
            let expected = "is not a size; give bytes or a number with k, m or g (powers of 1024), e.g. 64k, 10m";
            assert_eq!(message, format!("'{text}' {expected}"));
        }
    }

    #[test]
    fn counts() {
        assert_eq!("1".parse::<Count>().map(Count::get), Ok(1));
        assert_eq!("65536".parse::<Count>().map(Count::get), Ok(65_536));
        for text in ["0", "", "-1", "65537", "two", "1.5"] {
            let message = text.parse::<Count>().unwrap_err().to_string();
            assert_eq!(message, format!("'{text}' is not a whole number from 1 to 65536"));
        }
        assert_eq!([0, 7, u32::MAX].map(|number| Count::nearest(number).get()), [1, 7, 65_536]);
    }

    #[test]
    fn modes() {
        for (text, mode, written) in [("660", 0o660, "660"), ("0666", 0o666, "666"), ("000", 0, "000")] {
            assert_eq!(text.parse(), Ok(Mode(mode)));
            assert_eq!(Mode(mode).to_string(), written);
        }
        for text in ["", "66", "668", "1777", "0o660", "rw-rw----", "+660"] {
            let message = text.parse::<Mode>().unwrap_err().to_string();
            assert_eq!(message, format!("'{text}' is not a mode; give three octal digits, e.g. 660"));
        }
    }

    #[test]
    fn off_is_a_value() {
        assert_eq!("off".parse(), Ok(Switch::<Size>::Off));
        assert_eq!("4k".parse(), Ok(Switch::On(Size(4096))));
        assert_eq!(Switch::<Size>::Off.to_string(), "off");
        assert!("of".parse::<Switch<Size>>().is_err());
    }
}
