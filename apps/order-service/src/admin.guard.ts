import { timingSafeEqual } from 'node:crypto';
import { Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { readConfig } from './config.js';

/**
 * Lets nobody in without the token of `ADMIN_TOKEN`, and nobody at all where there is none. Put the guard
 * of your own operators in its place.
 */
@Injectable()
export class AdminGuard implements CanActivate {
  private readonly token = readConfig().ADMIN_TOKEN;

  canActivate(context: ExecutionContext): boolean {
    const { headers } = context
      .switchToHttp()
      .getRequest<{ readonly headers: Readonly<Record<string, string | undefined>> }>();
    if (this.token === undefined) return false;
    const given = Buffer.from(headers.authorization ?? '');
    const wanted = Buffer.from(`Bearer ${this.token}`);
    return given.length === wanted.length && timingSafeEqual(given, wanted);
  }
}
