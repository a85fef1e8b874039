// The lines of a change of perch.toml, for people: what goes, what comes, and a little around it.

export interface DiffLine {
  kind: 'comes' | 'goes' | 'stays' | 'gap';
  text: string;
}

/** Reads a unified diff. Lines that are left out between two places are one gap. */
export function diffLines(diff: string): DiffLine[] {
  const lines: DiffLine[] = [];
  let isInside = false;
  for (const line of diff.split('\n')) {
    if (line.startsWith('@@')) {
      isInside = true;
      if (lines.length > 0) lines.push({ kind: 'gap', text: '' });
    } else if (isInside && line !== '' && line[0] !== '\\') {
      const kind = line[0] === '+' ? 'comes' : line[0] === '-' ? 'goes' : 'stays';
      lines.push({ kind, text: line.slice(1) });
    }
  }
  return lines;
}
