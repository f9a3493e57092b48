// Type-checks what the build leaves out: specs, type tests and the tests in /test. Each project by
// itself, so that the message says where; name folders to check only those.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const compiler = join(root, 'node_modules/typescript7/bin/tsc');
const folders = ['libs', 'apps'].flatMap((kind) =>
  readdirSync(join(root, kind)).map((name) => `${kind}/${name}`),
);
const projects = [...folders, 'test', 'test/support']
  .map((folder) => join(folder, 'tsconfig.spec.json'))
  .filter((project) => existsSync(join(root, project)))
  .filter((project) => {
    const wanted = process.argv.slice(2);
    return wanted.length === 0 || wanted.some((folder) => dirname(project) === folder);
  });

let failed = 0;
for (const project of projects) {
  const { status } = spawnSync(process.execPath, [compiler, '-p', project, '--pretty', 'false'], {
    cwd: root,
    stdio: 'inherit',
  });
  if (status !== 0) failed += 1;
}
console.log(`${projects.length} projects checked, ${failed} with errors`);
process.exitCode = failed === 0 ? 0 : 1;
