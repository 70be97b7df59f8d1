//! A value with its place in the tree, for rules that want to point at it.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, SeqAccess, Visitor},
};

use super::tree::Id;

/// Name of the newtype by which [`At`] asks for its place.
pub(super) const AT: &str = "$at";

/// A value that knows where in the tree it stands.
#[derive(Debug, Clone)]
pub(super) struct At<T> {
    pub(super) id: Id,
    pub(super) value: T,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for At<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pair<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Pair<T> {
            type Value = At<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value with its place")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut pair: A) -> Result<At<T>, A::Error> {
                let absent = || A::Error::custom("a value without a place");
                let id: u64 = pair.next_element()?.ok_or_else(absent)?;
                let value = pair.next_element()?.ok_or_else(absent)?;
                Ok(At { id: usize::try_from(id).map_err(A::Error::custom)?, value })
            }
        }
        deserializer.deserialize_newtype_struct(AT, Pair(PhantomData))
    }
}

impl<T: schemars::JsonSchema> schemars::JsonSchema for At<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> std::borrow::Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        T::json_schema(generator)
    }
}
