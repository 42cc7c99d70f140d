// Patterns with `*` for any run of characters and `?` for exactly one; everything else is literal.

export function isPattern(text: string): boolean {
  return /[*?]/.test(text);
}

export function wildcard(pattern: string): (text: string) => boolean {
  if (!isPattern(pattern)) return (text) => text === pattern;
  const source = pattern.replace(/[.*+?^${}()|[\]\\/]/g, (special) => {
    if (special === '*') return '.*';
    return special === '?' ? '.' : `\\${special}`;
  });
  const expression = new RegExp(`^${source}$`, 'su');
  return (text) => expression.test(text);
}
