import { Inject, Module, Optional, type DynamicModule } from '@nestjs/common';
import { SagazLifecycle } from '../lifecycle/index.js';
import { CONFIGURED } from './given-options.js';
import { requireConfigured, requireOptions } from './module-checks.js';
import type { ASYNC_OPTIONS_TYPE, OPTIONS_TYPE } from './module-definition.js';
import { SagazCoreModule } from './sagaz-core.module.js';

/**
 * Sagas, outbox and inbox for one application. Import it in the root module, last, so that it starts
 * after and stops before the modules whose services steps and handlers use.
 *
 * ```ts
 * SagazModule.forRoot({ service: 'order-service', store: postgres(), broker: postgresBroker() })
 * ```
 *
 * @see SagazOptions for the options, their defaults and their environment variables
 */
@Module({})
export class SagazModule {
  constructor(@Optional() @Inject(CONFIGURED) configured?: true) {
    requireConfigured('SagazModule', configured);
  }

  /**
   * Configures Sagaz. With wrong options the application does not start, and `InvalidOptionsError`
   * names all of them.
   */
  static forRoot(options: typeof OPTIONS_TYPE): DynamicModule {
    requireOptions('forRoot', options, GIVE);
    return configured(SagazCoreModule.forRoot(options));
  }

  /**
   * Configures Sagaz with options from a factory. Only `dataSources` must be given directly, because
   * Nest needs their names earlier.
   */
  static forRootAsync(options: typeof ASYNC_OPTIONS_TYPE): DynamicModule {
    requireOptions('forRootAsync', options, 'give { useFactory: () => ({ service, store }) }');
    if (!['useFactory', 'useClass', 'useExisting'].some((name) => Object.hasOwn(options, name))) {
      requireOptions(
        'forRootAsync',
        undefined,
        'give { useFactory }, { useClass } or { useExisting }',
      );
    }
    return configured(SagazCoreModule.forRootAsync(options));
  }
}

const GIVE =
  "give { service, store } at least, for example { service: 'orders', store: postgres() }";

function configured(core: DynamicModule): DynamicModule {
  return {
    module: SagazModule,
    imports: [core],
    providers: [SagazLifecycle, { provide: CONFIGURED, useValue: true }],
  };
}
