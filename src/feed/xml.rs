//! RSS 2.0 and Atom as a list of items. Owns the XML: entities other than the five of XML itself are not expanded, nothing
//! is loaded from elsewhere, depth and lengths are bounded.

use quick_xml::{
    Reader,
    events::{BytesStart, Event},
};

use super::{NotUnderstood, json, time};
use crate::model::Timestamp;

/// Items that are read.
const ITEMS: usize = 300;
/// Elements within elements.
const DEPTH: usize = 64;
/// Bytes of one text that are kept.
const LENGTH: usize = 64 * 1024;
/// Categories of one item.
const CATEGORIES: usize = 50;

/// A list of news.
#[derive(Debug, Default)]
pub(super) struct Feed {
    pub(super) title: String,
    pub(super) items: Vec<Item>,
}

/// One of them.
#[derive(Debug, Default)]
pub(super) struct Item {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) link: Option<String>,
    pub(super) categories: Vec<String>,
    pub(super) published: Option<Timestamp>,
    pub(super) updated: Option<Timestamp>,
    pub(super) body: String,
}

/// Reads a feed whose outermost element is called so.
pub(super) fn read(body: &[u8], root: &str) -> Result<Feed, NotUnderstood> {
    let text = json::text(body)?;
    let mut reader = Reader::from_str(&text);
    let mut open: Vec<String> = Vec::new();
    let mut feed = Feed::default();
    let mut item: Option<Item> = None;
    let mut said = String::new();
    let mut is_whole = false;
    loop {
        let event = reader.read_event().map_err(|error| NotUnderstood::new(error.to_string()))?;
        match event {
            Event::Start(start) => {
                let name = start.local_name().into_inner().to_owned();
                if open.is_empty() && (name != root || is_whole) {
                    return Err(NotUnderstood::new(format!("it begins with <{name}> and not with <{root}>")));
                }
                if open.len() >= DEPTH {
                    return Err(NotUnderstood::new("its elements are nested too deep"));
                }
                if is_item(&name) && item.is_none() {
                    item = Some(Item::default());
                }
                if let Some(item) = &mut item {
                    item.note_link(&name, &start);
                }
                if open.last().is_none_or(|above| is_container(above)) {
                    said.clear();
                }
                open.push(name);
            }
            Event::Empty(start) => {
                let name = start.local_name().into_inner();
                if open.is_empty() {
                    return Err(NotUnderstood::new(format!("it begins with <{name}/> and not with <{root}>")));
                }
                if let Some(item) = &mut item {
                    item.note_link(name, &start);
                }
            }
            Event::End(_) => {
                let name = open.pop().unwrap_or_default();
                is_whole = open.is_empty();
                let above = open.last().map(String::as_str);
                match &mut item {
                    Some(one) if above.is_some_and(is_item) => one.note(&name, &said),
                    Some(_) if is_item(&name) => feed.items.extend(item.take().filter(|_| feed.items.len() < ITEMS)),
                    None if name == "title" && matches!(above, Some("channel" | "feed")) => {
                        feed.title = said.trim().to_owned()
                    }
                    _ => {}
                }
                // Of what is nested in a field only the text counts: Atom may have XHTML there.
                if above.is_none_or(is_container) {
                    said.clear();
                }
            }
            Event::Text(text) => add(&mut said, &text),
            Event::CData(text) => add(&mut said, &text),
            Event::GeneralRef(reference) => match reference.resolve_char_ref() {
                Ok(Some(c)) => add(&mut said, c.encode_utf8(&mut [0; 4])),
                // Entities that the document defines itself stand for nothing here.
                _ => add(&mut said, quick_xml::escape::resolve_xml_entity(&reference).unwrap_or(" ")),
            },
            Event::Eof => break,
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
    }
    if !is_whole {
        return Err(NotUnderstood::new(if open.is_empty() { "it is empty" } else { "it is cut off" }));
    }
    Ok(feed)
}

fn is_item(name: &str) -> bool {
    matches!(name, "item" | "entry")
}

fn is_container(name: &str) -> bool {
    is_item(name) || matches!(name, "channel" | "feed" | "rss")
}

fn add(said: &mut String, more: &str) {
    let room = LENGTH.saturating_sub(said.len());
    said.push_str(more.get(..more.floor_char_boundary(room)).unwrap_or_default());
}

impl Item {
    fn note(&mut self, element: &str, said: &str) {
        let said = said.trim();
        match element {
            "title" => self.title = said.to_owned(),
            "guid" | "id" => self.id = said.to_owned(),
            "link" if !said.is_empty() => self.link = Some(said.to_owned()),
            "category" if !said.is_empty() && self.categories.len() < CATEGORIES => {
                self.categories.push(said.to_owned())
            }
            "pubDate" | "published" | "date" => self.published = time::instant(said),
            "updated" | "modified" => self.updated = time::instant(said),
            "description" | "content" | "summary" | "encoded" => self.body.push_str(said),
            _ => {}
        }
        if self.id.is_empty() {
            self.id = self.link.clone().unwrap_or_else(|| self.title.clone());
        }
    }

    /// Atom has its links and categories in attributes.
    fn note_link(&mut self, element: &str, start: &BytesStart<'_>) {
        let attribute = |name: &str| {
            let found = start.try_get_attribute(name).ok().flatten()?;
            let value = quick_xml::escape::unescape(&found.value).ok()?.trim().to_owned();
            (!value.is_empty() && value.len() <= LENGTH).then_some(value)
        };
        match element {
            "link" if attribute("rel").is_none_or(|rel| rel == "alternate") => {
                self.link = attribute("href").or(self.link.take())
            }
            "category" if self.categories.len() < CATEGORIES => self.categories.extend(attribute("term")),
            _ => {}
        }
    }
}
