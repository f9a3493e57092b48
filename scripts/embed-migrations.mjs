// Packs the SQL of migrations/ into the package that applies it: packages ship what lies in their
// own folder, and a build must not need a copy step. A spec fails when the two differ.
import { copyFileSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';

const root = new URL('../migrations/', import.meta.url);
const target = new URL('../libs/postgres/src/migrations/sources.ts', import.meta.url);

// The queue tables of the broker are those of the outbox. Both folders hold the file, so that each can be
// applied by itself.
copyFileSync(new URL('0002_queue.sql', root), new URL('broker/0001_queue.sql', root));

function literal(text) {
  return `\`${text.replaceAll('\\', '\\\\').replaceAll('`', '\\`').replaceAll('${', '\\${')}\``;
}

const sets = ['store', 'broker'].map((set) => {
  const folder = set === 'store' ? root : new URL(`${set}/`, root);
  const files = readdirSync(folder)
    .filter((file) => file.endsWith('.sql'))
    .sort();
  if (files.length === 0) return `  ${set}: [],`;
  const entries = files.map((file, index) => {
    const name = file.slice(0, -'.sql'.length);
    const text = readFileSync(new URL(file, folder), 'utf8').replaceAll('\r\n', '\n');
    if (!/^\d{4}_[a-z0-9_]+$/.test(name)) throw new Error(`${file}: names are NNNN_lower_case.sql`);
    if (Number.parseInt(name, 10) !== index + 1)
      throw new Error(`${file}: a number is missing before it`);
    if (!/^-- @down$/m.test(text)) console.warn(`${file}: has no line "-- @down" yet`);
    return `    {\n      name: '${name}',\n      text: ${literal(text)},\n    },`;
  });
  return `  ${set}: [\n${entries.join('\n')}\n  ],`;
});

writeFileSync(
  target,
  `// Generated from migrations/ by \`npm run migrations:embed\`. Edit the SQL there.\nimport type { MigrationSet, MigrationSource } from './migration.js';\n\nexport const MIGRATION_SOURCES: Readonly<Record<MigrationSet, readonly MigrationSource[]>> = {\n${sets.join('\n')}\n};\n`,
);
