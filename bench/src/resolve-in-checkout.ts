import type { ResolveHook } from 'node:module';
import { pathToFileURL } from 'node:url';
import { CHECKOUT } from './checkout.js';

const checkout = process.env[CHECKOUT];
const parentURL = checkout === undefined ? null : pathToFileURL(`${checkout}/bench/any.js`).href;
/** The libraries, and the packages that an application must share with them. */
const OF_CHECKOUT =
  /^(@sagaz|@nestjs|@nestjs-cls)\/|^(pg|typeorm|nestjs-cls|rxjs|reflect-metadata)(\/|$)/;

/** Every import of these packages is resolved as if the bench of that checkout had asked. */
export const resolve: ResolveHook = (specifier, context, next) =>
  parentURL !== null && OF_CHECKOUT.test(specifier)
    ? next(specifier, { ...context, parentURL })
    : next(specifier, context);
