import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

/** Why there is no promtool here; undefined where there is one. */
export function promtoolMissing(): string | undefined {
  return binary() === undefined
    ? 'no promtool in PATH; on Debian: apt-get install prometheus'
    : undefined;
}

/** Samples by their series: `name{label="value"}` → value. */
export type Samples = ReadonlyMap<string, number>;

export interface FiringTest {
  readonly alert: string;
  /** The expositions that were scraped each minute for the first five minutes, and for the ten after those. */
  readonly before: Samples;
  readonly after: Samples;
}

/** Whether Prometheus has the alert firing at the fourth and at the fourteenth minute. */
export function firing(rules: string, { alert, before, after }: FiringTest): [boolean, boolean] {
  const series = [...new Set([...before.keys(), ...after.keys()])].map((name) => {
    const [then, now] = [before.get(name), after.get(name)];
    return {
      series: name,
      values: `${then === undefined ? '_x5' : `${String(then)}x4`} ${now === undefined ? '_x10' : `${String(now)}x9`}`,
    };
  });
  return [4, 14].map((minute) => {
    // Tells by failing: where nothing is expected to fire, what fires is an error.
    const tests = [
      {
        interval: '1m',
        input_series: series,
        alert_rule_test: [{ eval_time: `${String(minute)}m`, alertname: alert, exp_alerts: [] }],
      },
    ];
    return !passes({ rule_files: [rules], evaluation_interval: '1m', tests }, alert);
  }) as [boolean, boolean];
}

/** The findings of promtool about an exposition; empty: it finds nothing wrong. */
export function checkMetrics(exposition: string): string {
  const { stdout, stderr } = spawnSync(binary() ?? 'promtool', ['check', 'metrics'], {
    input: exposition,
    encoding: 'utf8',
  });
  return `${stdout}${stderr}`;
}

/** @throws with promtool's words */
export function checkRules(rules: string): void {
  execFileSync(binary() ?? 'promtool', ['check', 'rules', '--lint=all', '--lint-fatal', rules], {
    encoding: 'utf8',
  });
}

function passes(test: object, alert: string): boolean {
  const folder = mkdtempSync(join(tmpdir(), 'sagaz-promtool-'));
  try {
    // JSON is YAML.
    const file = join(folder, 'test.yml');
    writeFileSync(file, JSON.stringify(test));
    const { status, stdout, stderr } = spawnSync(binary() ?? 'promtool', ['test', 'rules', file], {
      encoding: 'utf8',
    });
    const text = `${stdout}${stderr}`;
    // A test that cannot be read fails as well, and must not be taken for an alert.
    if (status !== 0 && !text.includes(`alertname: ${alert}`)) throw new Error(text);
    return status === 0;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function binary(): string | undefined {
  return (process.env.PATH ?? '')
    .split(delimiter)
    .map((folder) => join(folder, 'promtool'))
    .find((path) => existsSync(path));
}
