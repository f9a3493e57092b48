import { ConfigurableModuleBuilder } from '@nestjs/common';
import type { SagazModuleExtras, SagazOptions } from '../options/index.js';
import { connectionsProvider } from './connections.provider.js';
import { GIVEN_OPTIONS } from './given-options.js';

export const { ConfigurableModuleClass, OPTIONS_TYPE, ASYNC_OPTIONS_TYPE } =
  new ConfigurableModuleBuilder<SagazOptions>({ optionsInjectionToken: GIVEN_OPTIONS })
    .setClassMethodName('forRoot')
    .setFactoryMethodName('createSagazOptions')
    .setExtras<SagazModuleExtras>({ dataSources: undefined }, (definition, { dataSources }) => ({
      ...definition,
      // The module is global, because interceptors of handlers and injected services are resolved in
      // the modules that use them.
      global: true,
      // Names of DataSources are injection tokens, so they must be known before any factory runs.
      providers: [...(definition.providers ?? []), connectionsProvider(dataSources)],
    }))
    .build();
