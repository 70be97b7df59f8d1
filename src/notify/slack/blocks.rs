//! A letter as Slack shows it: the answer set apart, what follows in small print, the same as plain text; escaped, and
//! within Slack's limits.

use serde_json::{Value, json};

/// Slack takes 3,000 characters in a block; a little room for the note that something was cut.
const BLOCK: usize = 2_900;
/// Slack takes 50 blocks.
const BLOCKS: usize = 40;
/// Slack cuts a text after 40,000 characters by itself, in the middle of whatever it is.
const TEXT: usize = 38_000;

/// What a message says: `text` for notifications and screen readers, and `blocks` for everybody else.
pub(super) fn message(mark: &str, headline: &str, lines: &[String]) -> Value {
    let headline = escaped(headline);
    let lines: Vec<String> = lines.iter().map(|line| escaped(line)).collect();
    let text = std::iter::once(&headline).chain(&lines).map(String::as_str).collect::<Vec<_>>().join("\n");
    let mark = if mark.is_empty() { String::new() } else { format!("{mark} ") };
    let answer = cut(&format!("{mark}*{headline}"), BLOCK - 1);
    let mut blocks = vec![json!({"type": "section", "text": {"type": "mrkdwn", "text": format!("{answer}*")}})];
    blocks.extend(packed(&lines).into_iter().map(small));
    json!({"text": cut(&text, TEXT), "blocks": blocks})
}

fn small(text: String) -> Value {
    json!({"type": "context", "elements": [{"type": "mrkdwn", "text": text}]})
}

/// Lines in as few blocks as they fit in; what is too much for a message is counted instead.
fn packed(lines: &[String]) -> Vec<String> {
    let mut blocks: Vec<String> = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let line = cut(line, BLOCK);
        let room = blocks.last().is_some_and(|block| block.chars().count() + line.chars().count() < BLOCK);
        if room && let Some(block) = blocks.last_mut() {
            block.push('\n');
            block.push_str(&line);
        } else if blocks.len() == BLOCKS - 2 {
            // One is for the answer, one for this note.
            blocks.push(format!("({} more lines were cut.)", lines.len() - index));
            break;
        } else {
            blocks.push(line);
        }
    }
    blocks
}

/// The three characters that Slack gives a meaning to; the rest may stand as it is.
pub(crate) fn escaped(text: &str) -> String {
    // An asterisk would end the bold of the headline.
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('*', "∗")
}

/// No more than so many characters, and never the half of an escaped one.
fn cut(text: &str, characters: usize) -> String {
    const NOTE: &str = "… (cut)";
    if text.chars().count() <= characters {
        return text.to_owned();
    }
    let end = text.char_indices().nth(characters - NOTE.chars().count()).map_or(text.len(), |(end, _)| end);
    let mut kept = &text[..end];
    if let Some(begun) = kept.rfind('&').filter(|begun| !kept[*begun..].contains(';')) {
        kept = &kept[..begun];
    }
    format!("{kept}{NOTE}")
}
