//! Elastic tab stops: text cells ended by tabs become aligned columns, as in Go's `text/tabwriter`.
//!
//! A column is a run of consecutive lines that have a tab-ended cell at that place; its width is the
//! widest cell plus the padding, at least the minimum. The last cell of a line belongs to no column.

/// How wide columns are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    /// The least width of a column, padding included.
    pub(crate) min_width: usize,
    /// Blanks after the widest cell.
    pub(crate) padding: usize,
}

/// Docker's tables.
pub(crate) const TABLE: Style = Style {
    min_width: 10,
    padding: 3,
};

/// Aligns every column of `text`.
#[must_use]
pub(crate) fn align(text: &str, style: Style) -> String {
    let ends_with_newline = text.ends_with('\n');
    let body = text.strip_suffix('\n').unwrap_or(text);
    let lines: Vec<Vec<&str>> = body.split('\n').map(|l| l.split('\t').collect()).collect();
    let mut output = String::with_capacity(text.len() * 2);
    let mut widths = Vec::new();
    format(&lines, 0, lines.len(), style, &mut widths, &mut output);
    if !ends_with_newline {
        output.pop();
    }
    output
}

fn format(
    lines: &[Vec<&str>],
    from: usize,
    to: usize,
    style: Style,
    widths: &mut Vec<usize>,
    output: &mut String,
) {
    let column = widths.len();
    let mut printed = from;
    let mut current = from;
    while current < to {
        if column + 1 >= lines[current].len() {
            current += 1;
            continue;
        }
        write_lines(&lines[printed..current], widths, output);
        // A block of lines that all have a cell ended by a tab in this column.
        let start = current;
        let mut width = style.min_width;
        while current < to && column + 1 < lines[current].len() {
            let cell = lines[current][column].chars().count();
            width = width.max(cell + style.padding);
            current += 1;
        }
        widths.push(width);
        format(lines, start, current, style, widths, output);
        widths.pop();
        printed = current;
    }
    write_lines(&lines[printed..to], widths, output);
}

fn write_lines(lines: &[Vec<&str>], widths: &[usize], output: &mut String) {
    for line in lines {
        for (index, cell) in line.iter().enumerate() {
            output.push_str(cell);
            if index + 1 < line.len()
                && let Some(width) = widths.get(index)
            {
                let blanks = width.saturating_sub(cell.chars().count());
                output.extend(std::iter::repeat_n(' ', blanks));
            }
        }
        output.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_at_the_widest_cell() {
        assert_eq!(
            align("A\tB\tC\nlonger than ten\tx\ty\n", TABLE),
            "A                 B         C\nlonger than ten   x         y\n"
        );
    }

    #[test]
    fn a_line_without_tabs_ends_a_column() {
        assert_eq!(
            align("a\tb\nplain\nccccccccccccc\td\n", TABLE),
            "a         b\nplain\nccccccccccccc   d\n"
        );
    }

    #[test]
    fn text_without_newline_gets_none() {
        assert_eq!(align("a\tb", TABLE), "a         b");
    }
}
