import { Body, Controller, Get, HttpCode, Param, Post } from '@nestjs/common';
import {
  ApiAcceptedResponse,
  ApiBadRequestResponse,
  ApiConflictResponse,
  ApiNotFoundResponse,
  ApiOkResponse,
  ApiOperation,
  ApiTags,
} from '@nestjs/swagger';
import { OrderView } from './order.view.js';
import { OrdersService } from './orders.service.js';
import { orderId, placeOrder, type PlaceOrder } from './place-order.js';

@ApiTags('orders')
@Controller('orders')
export class OrdersController {
  constructor(private readonly orders: OrdersService) {}

  @Post()
  @HttpCode(202)
  @ApiOperation({ summary: 'Place an order; its saga runs on after the answer' })
  @ApiAcceptedResponse({ type: OrderView })
  @ApiBadRequestResponse({ description: 'The order is not well formed' })
  @ApiConflictResponse({ description: 'The orderId was used for another order' })
  async place(@Body({ schema: placeOrder }) order: PlaceOrder): Promise<OrderView> {
    return OrderView.of(await this.orders.place(order));
  }

  @Get(':orderId')
  @ApiOperation({ summary: 'How an order stands' })
  @ApiOkResponse({ type: OrderView })
  @ApiNotFoundResponse({ description: 'There is no such order' })
  @ApiBadRequestResponse({ description: 'No order has such an id' })
  async get(@Param('orderId', { schema: orderId }) id: string): Promise<OrderView> {
    const order = await this.orders.get(id);
    return OrderView.of(order, await this.orders.whyRejected(order));
  }
}
