import type { Command } from '../messaging/index.js';
import type { Method } from './saga-of.js';

type IsAny<T> = 0 extends 1 & T ? true : false;
type Plain = string | number | boolean | null | undefined;

/** How many levels of a result's type are checked; deeper ones are checked only at run time. */
type Levels = readonly [1, 1, 1, 1, 1];
type Below<L extends readonly unknown[]> = L extends readonly [unknown, ...infer Rest] ? Rest : [];

/** Why a value of this type would not be read back unchanged; never if it would. */
type Problem<T, L extends readonly unknown[]> =
  IsAny<T> extends true
    ? never
    : T extends Plain
      ? never
      : L extends readonly []
        ? never
        : T extends Command<infer _>
          ? 'a step sends one command, which it returns by itself: make a step of each'
          : T extends bigint | symbol
            ? 'this result cannot be stored as JSON: give a bigint or a symbol as a text'
            : T extends Date
              ? 'this result cannot be stored as JSON: give a Date as date.toISOString()'
              : T extends ReadonlyMap<infer _K, infer _V> | ReadonlySet<infer _V>
                ? 'this result cannot be stored as JSON: give a Map or a Set as an array'
                : T extends (...args: never[]) => unknown
                  ? 'this result comes back as plain data, without methods: return { ...instance }'
                  : T extends readonly (infer Item)[]
                    ? Problem<Item, Below<L>>
                    : T extends object
                      ? { [K in keyof T & string]-?: Problem<T[K], Below<L>> }[keyof T & string]
                      : never;

type Kept<Returned> = Returned extends Command<infer _> ? never : Problem<Returned, Levels>;

/**
 * Why the journal could not keep the result of a method; never if it could. A command is not a result.
 */
export type ResultProblem<M> = M extends Method
  ? M extends (...args: never[]) => infer Returned
    ? Kept<Awaited<Returned>>
    : never
  : never;
