// The pages of what is pushed to Prometheus's relatives: their tables are those of the options.
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { DOCUMENTS, withTables } from '../scripts/write-option-docs.js';

test.each(DOCUMENTS)(
  'the tables of %s are up to date; `node scripts/write-option-docs.js` writes them',
  (file) => {
    const document = readFileSync(file, 'utf8');
    expect(withTables(document)).toBe(document);
  },
);
