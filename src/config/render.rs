//! How mistakes look: `file:line:column`, the line, a caret and what to do. Gets nothing to see that may not be shown.

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet, renderer::DecorStyle};

use super::{Mistake, Mistakes, Severity};

/// More mistakes than this are counted, not shown.
const MOST_SHOWN: usize = 100;

impl Mistakes {
    /// What people read, with colours of a terminal.
    #[must_use]
    pub fn in_colour(&self) -> String {
        self.rendered(&Renderer::styled())
    }

    fn rendered(&self, renderer: &Renderer) -> String {
        let renderer = renderer.clone().decor_style(DecorStyle::Ascii);
        let mut text = String::new();
        for mistake in self.list.iter().take(MOST_SHOWN) {
            let rendered = renderer.render(&[self.group(mistake)]);
            text.push_str(self.at_its_place(mistake, &rendered).trim_end());
            text.push_str("\n\n");
        }
        text.push_str(&self.sum());
        text
    }

    fn group<'a>(&'a self, mistake: &'a Mistake) -> Group<'a> {
        let level = match mistake.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let group = Group::with_title(level.primary_title(&*mistake.message));
        let group = match &mistake.place {
            None => group.element(Origin::path(&*self.file)),
            Some(place) => group.element(
                Snippet::source(&*place.text)
                    .path(&*self.file)
                    .line_start(place.line)
                    .fold(false)
                    .annotation(AnnotationKind::Primary.span(place.mark.clone())),
            ),
        };
        match &mistake.help {
            Some(help) => group.element(Level::HELP.message(&**help)),
            None => group,
        }
    }

    /// Masks move columns: puts the column of the file where the renderer put that of the shown line.
    fn at_its_place(&self, mistake: &Mistake, rendered: &str) -> String {
        let Some(place) = &mistake.place else { return rendered.to_owned() };
        let shown = place.text.get(..place.mark.start).unwrap_or_default().chars().count() + 1;
        let origin = |column: usize| format!("--> {}:{}:{column}\n", self.file, place.line);
        rendered.replacen(&origin(shown), &origin(place.column), 1)
    }

    /// `2 errors, 1 warning in probes.yaml`.
    fn sum(&self) -> String {
        let count = |severity, word: &str| match self.count(severity) {
            0 => None,
            1 => Some(format!("1 {word}")),
            more => Some(format!("{more} {word}s")),
        };
        let counts: Vec<String> =
            [count(Severity::Error, "error"), count(Severity::Warning, "warning")].into_iter().flatten().collect();
        format!("{} in {}\n", counts.join(", "), self.file)
    }
}

impl std::fmt::Display for Mistakes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.rendered(&Renderer::plain()))
    }
}
