//! A part of the file that can be left as it is, set in detail, or switched off by a single word.

use std::{borrow::Cow, fmt, marker::PhantomData};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de::Visitor};

/// Name of the newtype by which [`OrOff`] asks whether a single word stands there.
pub(super) const OR_OFF: &str = "$or_off";

/// `off` (or `false`), or a mapping with the details; `on` (or `true`) is a mapping without any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum OrOff<T> {
    Off,
    On(T),
}

impl<'de, T: Deserialize<'de> + Default> Deserialize<'de> for OrOff<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Switch<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de> + Default> Visitor<'de> for Switch<T> {
            type Value = OrOff<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping, or `off`")
            }

            fn visit_bool<E>(self, on: bool) -> Result<OrOff<T>, E> {
                Ok(if on { OrOff::On(T::default()) } else { OrOff::Off })
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<OrOff<T>, D::Error> {
                T::deserialize(inner).map(OrOff::On)
            }
        }
        deserializer.deserialize_newtype_struct(OR_OFF, Switch(PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for OrOff<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("{}OrOff", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({"anyOf": [generator.subschema_for::<T>(), {"enum": ["on", "off", true, false]}]})
    }
}
