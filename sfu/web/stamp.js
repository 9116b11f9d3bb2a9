// Writes dist/sources.sha256: what the committed page was built from. A test recomputes it without Node.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

const names = ['index.html', 'package-lock.json', 'package.json', 'vite.config.js'];
for (const entry of readdirSync('src', { recursive: true, withFileTypes: true }))
  if (entry.isFile()) names.push(`${entry.parentPath}/${entry.name}`);

const hash = createHash('sha256');
for (const name of names.sort()) hash.update(name).update('\0').update(readFileSync(name)).update('\0');
writeFileSync('dist/sources.sha256', `${hash.digest('hex')}\n`);
