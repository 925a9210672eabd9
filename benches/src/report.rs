//! What a bench found, as a table for people or as JSON.

use serde_json::{Value, json};

/// The lines of a report.
#[derive(Default)]
pub(crate) struct Report(Vec<Line>);

/// One measured ratio and what it should be.
pub(crate) struct Line {
    pub(crate) id: &'static str,
    pub(crate) subject: String,
    pub(crate) ours: String,
    /// The floor, the peer, or the other half of the ratio.
    pub(crate) other: String,
    pub(crate) ratio: f64,
    pub(crate) target: Target,
}

/// Two bounds of a ratio: what must be reached, and what we want.
#[derive(Clone, Copy)]
pub(crate) enum Target {
    /// Ours ÷ theirs is not above.
    AtMost { must: f64, aim: f64 },
    /// Ours ÷ theirs is not below.
    AtLeast { must: f64, aim: f64 },
}

impl Report {
    pub(crate) fn push(&mut self, line: Line) {
        self.0.push(line);
    }

    pub(crate) fn print(&self, as_json: bool) {
        if as_json {
            println!("{:#}", self.0.iter().map(Line::to_json).collect::<Value>());
            return;
        }
        let heads = [
            "",
            "subject",
            "ours",
            "floor or peer",
            "ratio",
            "must",
            "aim",
            "",
        ];
        let rows: Vec<[String; 8]> = std::iter::once(heads.map(str::to_owned))
            .chain(self.0.iter().map(Line::cells))
            .collect();
        let widths: Vec<usize> = (0..heads.len())
            .map(|column| {
                let lengths = rows.iter().map(|row| row[column].chars().count());
                lengths.max().unwrap_or(0)
            })
            .collect();
        for row in rows {
            let cells: Vec<String> = row
                .iter()
                .zip(&widths)
                .map(|(cell, &width)| format!("{cell:<width$}"))
                .collect();
            println!("{}", cells.join("  ").trim_end());
        }
    }
}

impl Line {
    fn cells(&self) -> [String; 8] {
        let (sign, must, aim) = match self.target {
            Target::AtMost { must, aim } => ("≤", must, aim),
            Target::AtLeast { must, aim } => ("≥", must, aim),
        };
        [
            self.id.to_owned(),
            self.subject.clone(),
            self.ours.clone(),
            self.other.clone(),
            format!("{:.2}", self.ratio),
            format!("{sign} {must:.2}"),
            format!("{sign} {aim:.2}"),
            self.verdict().to_owned(),
        ]
    }

    fn to_json(&self) -> Value {
        let (kind, must, aim) = match self.target {
            Target::AtMost { must, aim } => ("at_most", must, aim),
            Target::AtLeast { must, aim } => ("at_least", must, aim),
        };
        json!({
            "id": self.id,
            "subject": self.subject,
            "ours": self.ours,
            "other": self.other,
            "ratio": self.ratio,
            "bound": kind,
            "must": must,
            "aim": aim,
            "verdict": self.verdict(),
        })
    }

    fn verdict(&self) -> &'static str {
        let reaches = |bound: f64| match self.target {
            Target::AtMost { .. } => self.ratio <= bound,
            Target::AtLeast { .. } => self.ratio >= bound,
        };
        let (Target::AtMost { must, aim } | Target::AtLeast { must, aim }) = self.target;
        match (reaches(must), reaches(aim)) {
            (_, true) => "aim met",
            (true, false) => "must met",
            (false, false) => "NOT MET",
        }
    }
}
