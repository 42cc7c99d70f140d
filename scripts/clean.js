// Removes dist/, so that a renamed or deleted source file cannot linger in a build.
import { rmSync } from 'node:fs';

rmSync(new URL('../dist', import.meta.url), { recursive: true, force: true });
