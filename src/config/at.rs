//! A value with its place in the tree, for rules that want to point at it.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, SeqAccess, Visitor},
};

use super::tree::Id;

/// Name of the newtype by which [`At`] asks for its place.
pub(super) const AT: &str = "$at";

/// Name of the newtype by which [`Several`] takes a single value for a list of one.
pub(super) const SEVERAL: &str = "$several";

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

/// One value, or a list of them.
#[derive(Debug, Clone)]
pub(super) struct Several<T>(pub(super) Vec<At<T>>);

impl<T> Default for Several<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Several<T> {
    pub(super) fn iter(&self) -> std::slice::Iter<'_, At<T>> {
        self.0.iter()
    }

    /// The values, without their places.
    pub(super) fn values<U>(&self, of: impl Fn(&T) -> U) -> Vec<U> {
        self.0.iter().map(|at| of(&at.value)).collect()
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Several<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for List<T> {
            type Value = Several<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value or a list of them")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Several<T>, A::Error> {
                let mut several = Vec::new();
                while let Some(item) = items.next_element()? {
                    several.push(item);
                }
                Ok(Several(several))
            }
        }
        deserializer.deserialize_newtype_struct(SEVERAL, List(PhantomData))
    }
}

impl<T: schemars::JsonSchema> schemars::JsonSchema for Several<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("Several_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let one = generator.subschema_for::<T>();
        schemars::json_schema!({ "anyOf": [one, { "type": "array", "items": one }] })
    }
}
