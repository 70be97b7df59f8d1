//! Serde's way into what lists, mappings and choices hold.

use serde::de::{
    DeserializeSeed, Deserializer as _, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor,
    value::{StrDeserializer, U64Deserializer},
};

use super::{
    tree::{Entry, Id},
    value::Value,
    wrong::Wrong,
};

/// The place of a value, then the value.
pub(super) struct Placed<'d, 't> {
    pub(super) value: Value<'d, 't>,
    pub(super) next: u8,
}

impl<'de> SeqAccess<'de> for Placed<'_, '_> {
    type Error = Wrong;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Wrong> {
        self.next += 1;
        if self.next == 1 {
            let id: U64Deserializer<Wrong> = (self.value.id as u64).into_deserializer();
            return seed.deserialize(id).map(Some);
        }
        seed.deserialize(self.value).map(Some)
    }
}

pub(super) struct Items<'d, 't> {
    pub(super) value: Value<'d, 't>,
    pub(super) items: std::vec::IntoIter<Id>,
}

impl<'de> SeqAccess<'de> for Items<'_, '_> {
    type Error = Wrong;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Wrong> {
        self.items.next().map(|id| seed.deserialize(self.value.of(id))).transpose()
    }
}

pub(super) struct Entries<'d, 't> {
    pub(super) value: Value<'d, 't>,
    pub(super) entries: std::vec::IntoIter<&'t Entry>,
    pub(super) current: Option<&'t Entry>,
}

impl<'de> MapAccess<'de> for Entries<'_, '_> {
    type Error = Wrong;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Wrong> {
        self.current = self.entries.next();
        let Some(entry) = self.current else { return Ok(None) };
        let key: StrDeserializer<'_, Wrong> = (&*entry.key).into_deserializer();
        self.value.of(entry.value).here(seed.deserialize(key)).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Wrong> {
        let value = self.current.map_or(self.value, |entry| self.value.of(entry.value));
        value.here(seed.deserialize(value))
    }
}

/// A word of a closed list, with what stands below it.
pub(super) struct Choice<'d, 't> {
    pub(super) word: &'t str,
    pub(super) inside: Option<Value<'d, 't>>,
    pub(super) outside: Value<'d, 't>,
}

impl<'de, 'd, 't> EnumAccess<'de> for Choice<'d, 't> {
    type Error = Wrong;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Wrong> {
        let word: StrDeserializer<'_, Wrong> = self.word.into_deserializer();
        Ok((seed.deserialize(word)?, self))
    }
}

impl Choice<'_, '_> {
    fn needs_more(&self) -> Wrong {
        Wrong::new(format!("`{}` alone says too little: its fields are missing", self.word))
            .help(Some(format!("write `{}: {{ … }}`", self.word)))
    }
}

impl<'de> VariantAccess<'de> for Choice<'_, '_> {
    type Error = Wrong;

    fn unit_variant(self) -> Result<(), Wrong> {
        match self.inside {
            None => Ok(()),
            Some(_) => self.outside.fail(Wrong::new(format!("`{}` is a word without anything below it", self.word))),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Wrong> {
        match self.inside {
            Some(value) => value.here(seed.deserialize(value)),
            None => self.outside.fail(self.needs_more()),
        }
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Wrong> {
        match self.inside {
            Some(value) => value.deserialize_seq(visitor),
            None => self.outside.fail(self.needs_more()),
        }
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Wrong> {
        match self.inside {
            Some(value) => value.deserialize_struct("", fields, visitor),
            None => self.outside.fail(self.needs_more()),
        }
    }
}
