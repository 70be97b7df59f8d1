//! What the YAML parser says of broken text, in words that tell what to do where that is known.

use std::ops::Range;

use granit_parser::{ErrorKind, ScanError};

use super::{fault::Fault, parse::MAX_DEPTH};

/// The mistake that made the parser stop.
pub(super) fn scan_fault(error: &ScanError, text: &str) -> Fault {
    let start = error.marker().byte_offset().unwrap_or(text.len()).min(text.len());
    let at = start..start;
    match error.kind() {
        ErrorKind::RecursionLimitExceeded => too_deep(at),
        ErrorKind::TabNotAllowed | ErrorKind::TabInBlockIndentation | ErrorKind::TabInIndentation => {
            Fault::error(at, "a tab indents nothing in YAML").help("use spaces")
        }
        ErrorKind::UnclosedQuotedScalar | ErrorKind::DocumentIndicatorInQuotedScalar => {
            Fault::error(at, "this quote is never closed")
        }
        ErrorKind::UnclosedFlowCollection { .. }
        | ErrorKind::UnexpectedEofFlowMapping
        | ErrorKind::UnexpectedEofFlowSequence => Fault::error(at, "this bracket is never closed"),
        ErrorKind::MappingValueNotAllowed => Fault::error(at, "a `:` cannot stand here")
            .help("a text that holds `: ` needs quotes; otherwise look at the indentation of this line"),
        ErrorKind::ExpectedFlowMappingSeparator => {
            Fault::error(at, "expected `,` or `}` before this").help("is a `{` above never closed?")
        }
        ErrorKind::ExpectedFlowSequenceSeparator => {
            Fault::error(at, "expected `,` or `]` before this").help("is a `[` above never closed?")
        }
        ErrorKind::InvalidQuotedScalarIndent => {
            Fault::error(at, "a text in quotes that begins above goes on here").help("is its closing quote missing?")
        }
        ErrorKind::DirectiveDisallowed => {
            Fault::error(at, "YAML directives (`%…`) mean nothing here").help("remove the line")
        }
        ErrorKind::ExpectedBlockMappingKey => Fault::error(at, "a key was expected here, or another indentation")
            .help("keys of one mapping begin in the same column"),
        ErrorKind::UnexpectedCharacter { .. } => {
            Fault::error(at, "a text cannot begin with this character").help("put the text into quotes")
        }
        _ => Fault::error(at, format!("this is not YAML: {}", error.info())),
    }
}

/// Where nesting ends.
pub(super) fn too_deep(at: Range<usize>) -> Fault {
    Fault::error(at, format!("values are nested too deeply: at most {MAX_DEPTH} levels"))
}
