import { z } from 'zod';

const schema = z.object({
  DATABASE_URL: z.url({ protocol: /^postgres(ql)?$/ }),
  BROKER_URL: z.url({ protocol: /^postgres(ql)?$/ }),
  PORT: z.coerce.number().int().min(0).max(65_535).default(3000),
  /** Where /metrics, /health and /openapi are: for operators, and not for the world. */
  MANAGEMENT_PORT: z.coerce.number().int().min(0).max(65_535).default(4000),
  /** A request that sends it as `authorization: Bearer …` may change prices. Without it no request may. */
  ADMIN_TOKEN: z.string().min(16).optional(),
  LOG_LEVEL: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace']).default('info'),
});

export type Config = z.infer<typeof schema>;

/** Reads the environment once. A missing or wrong variable stops the start with its name. */
export function readConfig(environment: NodeJS.ProcessEnv = process.env): Config {
  // `PORT=` in a file of variables means: not set. Read as a number it would be 0.
  const set = Object.entries(environment).filter(([, value]) => value?.trim() !== '');
  const result = schema.safeParse(Object.fromEntries(set));
  if (!result.success) {
    throw new Error(
      `The environment is not complete; src/config.ts lists the variables:\n${z.prettifyError(result.error)}`,
    );
  }
  return result.data;
}
