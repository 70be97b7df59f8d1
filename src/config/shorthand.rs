//! A mapping that people may write in short, where one value says it all. An untagged enum would forget the places of what
//! is in it; this asks the decoder by name, as [`super::at::At`] does.

use std::{borrow::Cow, fmt, marker::PhantomData};

use serde::{Deserialize, Deserializer, de::Visitor};

/// Name of the newtype by which [`ShortOrLong`] asks which of the two it is.
pub(super) const SHORT_OR_LONG: &str = "$short_or_long";

/// A single value, or the mapping that it stands for.
#[derive(Debug, Clone)]
pub(super) enum ShortOrLong<S, L> {
    Short(S),
    Long(L),
}

impl<'de, S: Deserialize<'de>, L: Deserialize<'de>> Deserialize<'de> for ShortOrLong<S, L> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<S, L>(PhantomData<(S, L)>);
        impl<'de, S: Deserialize<'de>, L: Deserialize<'de>> Visitor<'de> for Either<S, L> {
            type Value = ShortOrLong<S, L>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value or a mapping")
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(self, short: D) -> Result<Self::Value, D::Error> {
                S::deserialize(short).map(ShortOrLong::Short)
            }

            fn visit_some<D: Deserializer<'de>>(self, long: D) -> Result<Self::Value, D::Error> {
                L::deserialize(long).map(ShortOrLong::Long)
            }
        }
        deserializer.deserialize_newtype_struct(SHORT_OR_LONG, Either(PhantomData))
    }
}

impl<S: schemars::JsonSchema, L: schemars::JsonSchema> schemars::JsonSchema for ShortOrLong<S, L> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("{}_or_{}", S::schema_name(), L::schema_name()).into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let (short, long) = (generator.subschema_for::<S>(), generator.subschema_for::<L>());
        schemars::json_schema!({"anyOf": [short, long]})
    }
}
