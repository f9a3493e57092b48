import { Body, Controller, HttpCode, Put, UseGuards } from '@nestjs/common';
import {
  ApiBearerAuth,
  ApiForbiddenResponse,
  ApiNoContentResponse,
  ApiOperation,
  ApiTags,
} from '@nestjs/swagger';
import { InjectRepository } from '@nestjs/typeorm';
import { Repository } from 'typeorm';
import { z } from 'zod';
import { AdminGuard } from '../admin.guard.js';
import { sku } from './place-order.js';
import { Price } from './price.entity.js';

const priceList = z
  .array(z.object({ sku, unitPriceCents: z.int().nonnegative().max(100_000_000) }))
  .min(1)
  .max(1_000);
type PriceList = z.infer<typeof priceList>;

@ApiTags('prices')
@Controller('prices')
@UseGuards(AdminGuard)
export class PricesController {
  constructor(@InjectRepository(Price) private readonly prices: Repository<Price>) {}

  @Put()
  @HttpCode(204)
  @ApiBearerAuth()
  @ApiOperation({ summary: 'Set prices; orders that were placed keep theirs' })
  @ApiNoContentResponse()
  @ApiForbiddenResponse({ description: 'Without the token of ADMIN_TOKEN' })
  async set(@Body({ schema: priceList }) list: PriceList): Promise<void> {
    await this.prices.upsert(list, ['sku']);
  }
}
