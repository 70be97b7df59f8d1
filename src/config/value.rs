//! Serde's view of a node: what a visitor asks for, what it gets, and at which place it went wrong. Words of mistakes
//! about enums live here, because only here are the choices known.

use serde::{
    Deserializer,
    de::{Error as _, Unexpected, Visitor},
};

use super::{
    access::{Choice, Entries, Items, Placed},
    at::{AT, SEVERAL},
    decode::{Decoder, listed},
    fault::{Fault, did_you_mean},
    or_off::OR_OFF,
    shorthand::SHORT_OR_LONG,
    tree::{Content, Entry, Id, Scalar},
    wrong::{Wrong, shortened},
};

/// Name of the newtype that marks a secret.
const SECRET: &str = "Secret";

/// A node, as serde sees it.
#[derive(Clone, Copy)]
pub(super) struct Value<'d, 't> {
    pub(super) decoder: &'d Decoder<'t>,
    pub(super) id: Id,
    secret: bool,
}

impl<'d, 't> Value<'d, 't> {
    pub(super) const fn new(decoder: &'d Decoder<'t>, id: Id) -> Self {
        Self { decoder, id, secret: false }
    }

    fn content(&self) -> &'t Content {
        &self.decoder.tree.node(self.id).content
    }

    pub(super) fn of(&self, id: Id) -> Self {
        Self { id, ..*self }
    }

    /// Puts this node's place to what went wrong right here.
    pub(super) fn here<V>(&self, result: Result<V, Wrong>) -> Result<V, Wrong> {
        result.map_err(|mut wrong| {
            wrong.at.get_or_insert(self.id);
            wrong
        })
    }

    pub(super) fn fail<V>(&self, wrong: Wrong) -> Result<V, Wrong> {
        self.here(Err(wrong))
    }

    fn text(&self, scalar: &'t Scalar) -> &'t str {
        self.decoder.looked_at(self.id, self.secret);
        match &scalar.written {
            Some(written) if self.decoder.is_veiled(self.id) => written,
            _ => &scalar.text,
        }
    }

    /// The entries of a mapping that are not left out; nothing at all counts as an empty mapping.
    fn entries(&self) -> Option<Vec<&'t Entry>> {
        match self.content() {
            Content::Map(entries) => Some(entries.iter().filter(|entry| !self.decoder.is_bad(entry.value)).collect()),
            Content::Scalar(scalar) if scalar.is_null() => Some(Vec::new()),
            _ => None,
        }
    }

    /// Lets a visitor see the scalar as what it looks like.
    fn visit_typed<'de, V: Visitor<'de>>(&self, scalar: &'t Scalar, visitor: V) -> Result<V::Value, Wrong> {
        if scalar.is_null() {
            return visitor.visit_unit();
        }
        let text = self.text(scalar);
        if !scalar.is_typed() {
            return visitor.visit_str(text);
        }
        match text {
            "true" | "True" | "TRUE" => visitor.visit_bool(true),
            "false" | "False" | "FALSE" => visitor.visit_bool(false),
            _ => {
                if let Ok(number) = text.parse::<u64>() {
                    visitor.visit_u64(number)
                } else if let Ok(number) = text.parse::<i64>() {
                    visitor.visit_i64(number)
                } else if text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c))
                    && let Ok(number) = text.parse::<f64>()
                    && number.is_finite()
                {
                    visitor.visit_f64(number)
                } else {
                    visitor.visit_str(text)
                }
            }
        }
    }

    /// What this node is, for a visitor that wants something else.
    fn unexpected(&self) -> Unexpected<'t> {
        match self.content() {
            Content::Scalar(scalar) if scalar.is_null() => Unexpected::Unit,
            Content::Scalar(scalar) => Unexpected::Str(self.text(scalar)),
            Content::List(_) => Unexpected::Seq,
            Content::Map(_) => Unexpected::Map,
        }
    }

    /// A text in the place of a mapping may be a secret that lost its key: it is not repeated.
    fn no_mapping(&self) -> Wrong {
        let got = if matches!(self.content(), Content::List(_)) { "a list" } else { "a single value" };
        Wrong::new(format!("expected a mapping, got {got}"))
    }

    /// The single known key of a mapping that stands for a choice.
    fn choice(&self, entries: &'t [Entry], variants: &'static [&'static str]) -> Result<&'t Entry, Wrong> {
        let mut known = Vec::new();
        let mut unknown = false;
        for entry in entries {
            if variants.contains(&&*entry.key) {
                known.push(entry);
            } else {
                unknown = true;
                self.decoder.unknown_key(self.id, &entry.key, entry.value, variants);
            }
        }
        match known.as_slice() {
            [] if unknown => Err(Wrong::told()),
            [] => Err(Wrong::new(format!("expected {}, got nothing", listed(variants, "or")))),
            [first, more @ ..] => {
                for entry in more {
                    let at = self.decoder.tree.node(entry.value).key_span.clone().unwrap_or_default();
                    let message = format!("only one of {} can stand here", listed(&[&first.key, &entry.key], "and"));
                    self.decoder.leave_out(entry.value, Fault::error(at, message));
                }
                if self.decoder.is_bad(first.value) { Err(Wrong::told()) } else { Ok(first) }
            }
        }
    }
}

macro_rules! scalars {
    ($($method:ident)+) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> { self.deserialize_any(visitor) })+
    };
}

macro_rules! texts {
    ($($method:ident)+) => {
        $(
            /// Any scalar is a text where a text is wanted: `version: 2`, `password: 12345`.
            fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
                self.here(match self.content() {
                    // What a variable left empty is an empty text, where a text is all that is wanted.
                    Content::Scalar(scalar) if !scalar.is_null() || scalar.written.is_some() => {
                        visitor.visit_str(self.text(scalar))
                    }
                    _ => Err(Wrong::invalid_type(self.unexpected(), &visitor)),
                })
            }
        )+
    };
}

impl<'de> Deserializer<'de> for Value<'_, '_> {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.content() {
            Content::Scalar(scalar) => self.here(self.visit_typed(scalar, visitor)),
            Content::List(_) => self.deserialize_seq(visitor),
            Content::Map(_) => self.deserialize_map(visitor),
        }
    }

    scalars! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_u8 deserialize_u16
        deserialize_u32 deserialize_u64 deserialize_f32 deserialize_f64 deserialize_bytes deserialize_byte_buf
        deserialize_unit
    }

    texts! { deserialize_str deserialize_string deserialize_char deserialize_identifier }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.content() {
            Content::Scalar(scalar) if scalar.is_null() => self.here(visitor.visit_none()),
            _ => self.here(visitor.visit_some(self)),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Wrong> {
        self.deserialize_any(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Wrong> {
        match name {
            AT => self.here(visitor.visit_seq(Placed { value: self, next: 0 })),
            SEVERAL => match self.content() {
                Content::List(_) => self.deserialize_seq(visitor),
                Content::Scalar(scalar) if scalar.is_null() => self.deserialize_seq(visitor),
                _ => self.here(visitor.visit_seq(Items { value: self, items: vec![self.id].into_iter() })),
            },
            OR_OFF => match self.content() {
                Content::Scalar(scalar) if matches!(&*scalar.text, "off" | "false") => {
                    self.text(scalar);
                    self.here(visitor.visit_bool(false))
                }
                Content::Scalar(scalar) if matches!(&*scalar.text, "on" | "true") => {
                    self.text(scalar);
                    self.here(visitor.visit_bool(true))
                }
                Content::Scalar(scalar) if !scalar.is_null() => {
                    self.fail(self.no_mapping().help(Some("or write `off`".to_owned())))
                }
                _ => self.here(visitor.visit_newtype_struct(self)),
            },
            SECRET => {
                self.decoder.looked_at(self.id, true);
                self.here(visitor.visit_newtype_struct(Self { secret: true, ..self }))
            }
            SHORT_OR_LONG => self.here(match self.content() {
                Content::Map(_) => visitor.visit_some(self),
                _ => visitor.visit_newtype_struct(self),
            }),
            _ => self.here(visitor.visit_newtype_struct(self)),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.content() {
            Content::List(items) => {
                let items: Vec<Id> = items.iter().copied().filter(|&id| !self.decoder.is_bad(id)).collect();
                self.here(visitor.visit_seq(Items { value: self, items: items.into_iter() }))
            }
            Content::Scalar(scalar) if scalar.is_null() => {
                self.here(visitor.visit_seq(Items { value: self, items: Vec::new().into_iter() }))
            }
            _ => {
                let help = match self.unexpected() {
                    Unexpected::Str(text) if text.len() <= 20 => Some(format!("write `[{text}]`")),
                    _ => Some("write it as a list: `[…]`, or lines that begin with `- `".to_owned()),
                };
                self.fail(Wrong::invalid_type(self.unexpected(), &"a list").help(help))
            }
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Wrong> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.entries() {
            Some(entries) => {
                self.here(visitor.visit_map(Entries { value: self, entries: entries.into_iter(), current: None }))
            }
            None => self.fail(self.no_mapping()),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        let Some(entries) = self.entries() else {
            let help = format!("known here: {}", fields.join(", "));
            return self.fail(self.no_mapping().help(Some(help)));
        };
        for entry in entries.iter().filter(|entry| !fields.contains(&&*entry.key)) {
            self.decoder.unknown_key(self.id, &entry.key, entry.value, fields);
        }
        self.decoder.missing_keys(self.id, fields);
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        match self.content() {
            Content::Map(entries) => match self.choice(entries, variants) {
                Ok(entry) => self.here(visitor.visit_enum(Choice {
                    word: &entry.key,
                    inside: Some(self.of(entry.value)),
                    outside: self,
                })),
                Err(wrong) => self.fail(wrong),
            },
            Content::Scalar(scalar) if !scalar.is_null() => {
                if self.decoder.have_fields(variants) && !variants.contains(&&*scalar.text) {
                    let help = format!("known here: {}", variants.join(", "));
                    return self.fail(self.no_mapping().help(Some(help)));
                }
                let word = self.text(scalar);
                if variants.contains(&word) {
                    return self.here(visitor.visit_enum(Choice { word, inside: None, outside: self }));
                }
                let message = format!("expected {}, got {}", listed(variants, "or"), shortened(word));
                self.fail(Wrong::new(message).help(did_you_mean(word, variants.iter().copied())))
            }
            Content::Scalar(_) => self.fail(Wrong::new(format!("expected {}, got nothing", listed(variants, "or")))),
            Content::List(_) => self.fail(Wrong::new(format!("expected {}, got a list", listed(variants, "or")))),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_unit()
    }
}
