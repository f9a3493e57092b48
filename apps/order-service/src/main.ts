import 'reflect-metadata';
import { StandardSchemaValidationPipe } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { DocumentBuilder, SwaggerModule } from '@nestjs/swagger';
import { connectSagaz, traceRequests } from '@sagaz/nestjs';
import { serveManagement } from '@sagaz/nestjs/health';
import { AppModule } from './app.module.js';
import { readConfig } from './config.js';
import { firstLogger } from './logging.js';

const config = readConfig();
const app = await NestFactory.create(AppModule, { logger: firstLogger() });
const management = serveManagement(app);
// Without OpenTelemetry; with it, its instrumentation does this.
app.use(traceRequests);
app.useGlobalPipes(new StandardSchemaValidationPipe());
SwaggerModule.setup('openapi', app, () =>
  SwaggerModule.createDocument(
    app,
    new DocumentBuilder().setTitle('Orders').setVersion('1').build(),
  ),
);
connectSagaz(app);
await app.startAllMicroservices();
await app.listen(config.PORT);
await management.listen(config.MANAGEMENT_PORT);
