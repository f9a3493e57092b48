import { describe, expect, it } from 'vitest';
import { EXIT_CODE } from './exit-code.js';
import { run } from './run.js';

const URL = 'postgres://me:two words@db/x';

describe('the command line', () => {
  it.each([
    [URL],
    [`--ulr=${URL}`],
    ['migrate', `--ulr=${URL}`],
    ['migrate', '--wait', URL],
    ['groups', URL],
    ['status', '--url', 'mysql://me:two words@db/x'],
    ['status', '--url', URL, '--schema', URL],
  ])(
    'shows no password that was given where it does not belong: %s %s %s %s %s',
    async (...args) => {
      const said: string[] = [];
      const io = {
        out: (text: string) => void said.push(text),
        err: (text: string) => void said.push(text),
        env: {},
      };
      expect(await run([...args, '--json'], io)).toBe(EXIT_CODE.usage);
      expect(said).not.toEqual([]);
      expect(said.join('\n')).not.toMatch(/two|words/);
    },
  );
});
