// Patterns with `*` for any run of characters and `?` for exactly one; everything else is literal.

export function wildcard(pattern: string): (text: string) => boolean {
  if (!/[*?]/.test(pattern)) return (text) => text === pattern;
  const source = pattern.replace(/[.*+?^${}()|[\]\\/]/g, (special) => {
    if (special === '*') return '.*';
    return special === '?' ? '.' : `\\${special}`;
  });
  const expression = new RegExp(`^${source}$`, 'su');
  return (text) => expression.test(text);
}
