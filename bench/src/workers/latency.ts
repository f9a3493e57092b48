import { answer } from '../child.js';
import { latencies, type LatencyFindings } from '../latency.js';

export interface LatencyPart {
  readonly urls: readonly string[];
  readonly count: number;
}

await answer(({ urls, count }: LatencyPart): Promise<LatencyFindings> => {
  const left = [...urls];
  const database = (): Promise<string> => {
    const url = left.shift();
    return url === undefined
      ? Promise.reject(new Error('No database is left.'))
      : Promise.resolve(url);
  };
  return latencies({ database }, count);
});
