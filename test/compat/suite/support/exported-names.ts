/** The names that a module exports, types included, read from its source or its declarations. */
export function exportedNames(source: string): string[] {
  const lists = [...source.matchAll(/^export (?:type )?\{([^}]*)\}/gm)].flatMap(([, list]) =>
    list!.split(','),
  );
  const declared = source.matchAll(
    /^export (?:declare )?(?:type|interface|class|const|enum|function) (\w+)/gm,
  );
  return [
    ...lists.map((entry) =>
      entry
        .trim()
        .replace(/^type /, '')
        .replace(/^.* as /, ''),
    ),
    ...[...declared].map(([, name]) => name!),
  ]
    .filter((name) => name !== '')
    .sort();
}
