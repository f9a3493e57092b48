import { spawn, type ChildProcess } from 'node:child_process';
import { chmod, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const MAIN = fileURLToPath(new URL('dist/soak/main.js', import.meta.url));

describe('a soak', () => {
  let folder = '';
  let child: ChildProcess | null = null;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'soak-interrupt-'));
    // A server that root starts runs as somebody else, who must be able to enter.
    await chmod(folder, 0o755);
  });
  afterEach(async () => {
    // One that did not end in the time of its test; its servers end with it.
    child?.kill('SIGKILL');
    await rm(folder, { recursive: true, force: true });
  });

  /** All lines of stdout; `SIGTERM` once one of them contains the words. */
  const soak = async (args: readonly string[], interruptAt: string | null) => {
    const started = spawn(process.execPath, [MAIN, ...args, '--json'], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, TMPDIR: folder },
    });
    child = started;
    const lines: string[] = [];
    const ended = new Promise<number | null>((resolve) => {
      started.once('close', (code) => resolve(code));
    });
    createInterface({ input: started.stdout }).on('line', (line) => {
      lines.push(line);
      if (interruptAt !== null && line.includes(interruptAt)) started.kill('SIGTERM');
    });
    return { code: await ended, last: JSON.parse(lines.at(-1) ?? '') as object };
  };

  it.each([
    ['while its servers start', 'starting'],
    ['while orders are placed', 'placing'],
  ])(
    'that is interrupted %s stops and removes what it has started and says so last',
    async (_when, at) => {
      const { code, last } = await soak(['--minutes', '60'], at);
      expect(code).toBe(130);
      expect(last).toMatchObject({ outcome: 'interrupted', ok: false, findings: null });
      // The folders of both servers, and that of the logs.
      expect(await readdir(folder)).toEqual([]);
    },
  );

  it('with an option that is none says so in its last line too', async () => {
    const { code, last } = await soak(['--minutes', 'ten'], null);
    expect(code).toBe(1);
    expect(last).toMatchObject({
      outcome: 'failed',
      broken: [expect.stringContaining("--minutes is 'ten'")],
    });
  });
});
