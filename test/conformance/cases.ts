/** All cases, in the order of the specifications. */

import type { Case } from "./case.ts";
import { connectCases } from "./both/connect.ts";
import { connectPayloadCases } from "./both/connect-payload.ts";
import { deliveryCases } from "./both/delivery.ts";
import { keepAliveCases } from "./both/keep-alive.ts";
import { malformedCases } from "./both/malformed.ts";
import { orderCases } from "./both/order.ts";
import { pahoCases } from "./both/paho.ts";
import { publishCases } from "./both/publish.ts";
import { retainedCases } from "./both/retained.ts";
import { sessionCases } from "./both/session.ts";
import { subscribeCases } from "./both/subscribe.ts";
import { topicCases } from "./both/topics.ts";
import { webSocketCases } from "./both/web-socket.ts";
import { willCases } from "./both/will.ts";
import { carriedCases } from "./v5/carried.ts";
import { connackCases } from "./v5/connack.ts";
import { expiryCases } from "./v5/expiry.ts";
import { flowCases } from "./v5/flow.ts";
import { optionCases } from "./v5/options.ts";
import { paho5Cases } from "./v5/paho.ts";
import { propertyCases } from "./v5/properties.ts";
import { reasonCases } from "./v5/reasons.ts";

export const cases: readonly Case[] = [
  ...malformedCases,
  ...connectCases,
  ...connectPayloadCases,
  ...sessionCases,
  ...willCases,
  ...keepAliveCases,
  ...publishCases,
  ...retainedCases,
  ...deliveryCases,
  ...subscribeCases,
  ...topicCases,
  ...orderCases,
  ...webSocketCases,
  ...propertyCases,
  ...connackCases,
  ...expiryCases,
  ...carriedCases,
  ...flowCases,
  ...optionCases,
  ...reasonCases,
  ...pahoCases,
  ...paho5Cases,
];
