//! Sizes as people write them. Must not know what is that large.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

/// A size as people write it: `500MB`, `2GB`, `1.5GiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size(pub(super) u64);

impl std::str::FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || format!("`{text}` is not a size: write a number and a unit, such as 500MB, 2GB or 1.5GiB");
        let unit = text.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(expected)?;
        let (number, unit) = text.split_at(unit);
        let bytes_each: f64 = match unit.trim() {
            "kB" | "KB" => 1e3,
            "MB" => 1e6,
            "GB" => 1e9,
            "TB" => 1e12,
            "KiB" => 1024.0,
            "MiB" => 1024.0 * 1024.0,
            "GiB" => 1024.0 * 1024.0 * 1024.0,
            "TiB" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
            _ => return Err(expected()),
        };
        let bytes = number.parse::<f64>().map_err(|_| expected())? * bytes_each;
        if bytes > 1e18 {
            return Err(format!("`{text}` is larger than any disk"));
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative, and small enough")]
        Ok(Self(bytes as u64))
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Size {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": r"^[0-9.]+ ?([kKMGT]B|[KMGT]iB)$|\$\{",
            "examples": ["500MB", "2GB"]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_as_people_write_them() {
        for (written, bytes) in [
            ("2GB", Some(2_000_000_000)),
            ("1.5KiB", Some(1536)),
            ("500 MB", Some(500_000_000)),
            ("2", None),
            ("GB", None),
            ("2G", None),
            ("999999999TB", None),
        ] {
            assert_eq!(written.parse::<Size>().ok().map(|size| size.0), bytes, "{written}");
        }
    }
}
