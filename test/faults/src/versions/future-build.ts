import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Puts `text` into a file, in place of `before` or in front of it. */
interface Change {
  readonly file: string;
  readonly before: string;
  readonly text: string;
}

/**
 * What a next version may add: an entry of the journal (`noted`), mail and a wait (`signal`), and a column.
 * A signal that comes before its step waits for it is noted, and the step that asks for it then has it.
 */
const CHANGES: readonly Change[] = [
  { file: 'core/dist/ports/format.js', before: 'FORMAT = 1;', text: 'FORMAT = 2;' },
  {
    file: 'core/dist/engine/journal/entry-format.js',
    before: 'saga_started: 1,',
    text: 'noted: 2, saga_started: 1,',
  },
  {
    file: 'core/dist/engine/journal/entry-format.js',
    before: '{ reply: 1 }',
    text: '{ reply: 1, signal: 2 }',
  },
  {
    file: 'core/dist/engine/journal/entry-shape.js',
    before: 'saga_started: { trace },',
    text: 'noted: { text }, saga_started: { trace },',
  },
  {
    file: 'core/dist/engine/journal/entry-shape.js',
    before: 'const AWAITED = {',
    text: 'const AWAITED = { signal: (value) => isObject(value),',
  },
  {
    file: 'core/dist/engine/state/fold.js',
    before: "case 'adopted':",
    text: "case 'noted': state.noted = entry.text; return; case 'adopted':",
  },
  {
    file: 'core/dist/engine/state/fold.js',
    before: 'const { kind, key, messageId: id, handledBy = null } = awaited;',
    text: `if (awaited.kind === 'signal') return { wait: { kind: 'signal', since, until }, command };
    const { kind, key, messageId: id, handledBy = null } = awaited;`,
  },
  {
    file: 'core/dist/engine/decide/saga-mail.js',
    before: 'const MAIL_FORMATS = {',
    text: 'const MAIL_FORMATS = { signal: 2,',
  },
  {
    file: 'core/dist/engine/decide/take-mail.js',
    before: "case 'reply':",
    text: `case 'signal': {
            const waiting = [...draft.state.tasks].find(([, task]) => task.wait?.kind === 'signal');
            if (waiting === undefined) draft.add({ kind: 'noted', text: data.value });
            else draft.add({ kind: 'completed', ...waiting[0], attempt: waiting[1].attempt, output: data.value });
            return null;
        }
        case 'reply':`,
  },
  {
    file: 'core/dist/engine/decide/task-result.js',
    before: 'const { command } = request;',
    text: `if (request.kind === 'signal') {
        const of = { ...ref, attempt };
        if (state.noted === undefined) draft.add({ kind: 'waiting', ...of, for: { kind: 'signal' }, timeoutMs: 600_000 });
        else draft.add({ kind: 'completed', ...of, output: state.noted });
        return;
    }
    const { command } = request;`,
  },
  {
    file: 'core/dist/engine/run/attempt.js',
    before: 'if (isCommand(value))',
    text: `if (value?.waitForSignal === true) return { kind: 'waits', request: { kind: 'signal' } };
        if (isCommand(value))`,
  },
  {
    file: 'postgres/dist/sagas/transition-sql.js',
    before: 'revision = s.revision + 1,',
    text: 'moves = s.moves + 1, revision = s.revision + 1,',
  },
  {
    file: 'postgres/dist/migrations/sources.js',
    before: '],\n    broker: [',
    text: `{
            name: '0099_moves',
            text: 'ALTER TABLE sagaz.saga ADD COLUMN moves integer NOT NULL DEFAULT 0;\\n-- @down\\nALTER TABLE sagaz.saga DROP COLUMN moves;\\n',
        },
    ],
    broker: [`,
  },
];

/**
 * Makes a build of a version of the future from the built packages, in a folder from which its worker
 * finds those packages. Returns the folder.
 */
export async function futureBuild(repository: string): Promise<string> {
  const folder = join(repository, 'test/faults/dist/future');
  await rm(folder, { recursive: true, force: true });
  const packages = join(folder, 'node_modules/@sagaz');
  for (const name of ['core', 'postgres']) {
    await mkdir(join(packages, name), { recursive: true });
    for (const part of ['dist', 'package.json']) {
      const to = join(packages, name, part);
      await cp(join(repository, 'libs', name, part), to, { recursive: true });
    }
  }
  for (const part of ['versions', 'processes']) {
    await cp(join(repository, 'test/faults/dist', part), join(folder, part), { recursive: true });
  }
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }\n');
  for (const { file, before, text } of CHANGES) {
    const path = join(packages, file);
    const source = await readFile(path, 'utf8');
    const parts = source.split(before);
    if (parts.length !== 2) {
      throw new Error(
        `${file} has ${String(parts.length - 1)} places with ${JSON.stringify(before)}, which the build of the future changes; name the text that stands there now.`,
      );
    }
    await writeFile(path, parts.join(text));
  }
  return folder;
}
