/** Queries over HTTP: parameters, a place among the queries, series, then rows as the client takes them. */

import { limits } from "../../core/limits.ts";
import type { SeriesId } from "../../core/units.ts";
import { readingsAnswer, seriesAnswer, summaryAnswer } from "../query/answers.ts";
import type { Queries, Query } from "../query/queries.ts";
import {
  type Asked,
  type Parsed,
  parseReadingsRequest,
  parseSeriesRequest,
  parseSummaryRequest,
} from "../query/requests.ts";
import { problem, type Reply, type StreamedReply } from "./reply.ts";

export type QueryRoute = (
  queries: Queries,
  search: URLSearchParams,
) => Promise<Reply | StreamedReply>;

export const queryRoutes: ReadonlyMap<string, QueryRoute> = new Map<string, QueryRoute>([
  [
    "/v1/series",
    (queries, search) => answered(queries, parseSeriesRequest(search), seriesOf(seriesAnswer)),
  ],
  [
    "/v1/readings",
    (queries, search) =>
      answered(
        queries,
        parseReadingsRequest(search, circumstances(queries)),
        selected(readingsAnswer),
      ),
  ],
  [
    "/v1/query",
    (queries, search) =>
      answered(
        queries,
        parseSummaryRequest(search, circumstances(queries)),
        selected(summaryAnswer),
      ),
  ],
]);

function circumstances({ clock, tiers }: Queries): Parameters<typeof parseSummaryRequest>[1] {
  return { now: clock.now(), tiers };
}

/** Begins an answer, or says why not. */
type Begin<Request> = (
  query: Query,
  request: Request,
) => Promise<AsyncGenerator<string> | { readonly refused: string }>;

async function answered<Request extends Asked>(
  queries: Queries,
  parsed: Parsed<Request>,
  begin: Begin<Request>,
): Promise<Reply | StreamedReply> {
  if (parsed.kind === "refused") return problem(400, "bad_request", parsed.message);
  using opened = new DisposableStack();
  const query = queries.open();
  if (query === undefined) {
    return { ...problem(503, "busy", queries.busy), headers: { "Retry-After": "1" } };
  }
  opened.use(query);
  const answer = await begin(query, parsed.request);
  if ("refused" in answer) return problem(400, "bad_request", answer.refused);
  opened.move();
  return {
    code: 200,
    type:
      parsed.request.format === "json"
        ? "application/json; charset=utf-8"
        : "application/x-ndjson; charset=utf-8",
    pieces: answer,
    source: query,
  };
}

/** For answers that list series as they find them. */
function seriesOf<Request>(
  answer: (query: Query, request: Request) => AsyncGenerator<string>,
): Begin<Request> {
  return (query, request) => Promise.resolve(answer(query, request));
}

/** For answers about series, which are not too many. */
function selected<Request extends Asked>(
  answer: (query: Query, request: Request, ids: readonly SeriesId[]) => AsyncGenerator<string>,
): Begin<Request> {
  return async (query, request) => {
    const max = limits.querySeriesMax;
    const found = await query.select(request.wheres, max);
    if (found.kind === "series") return answer(query, request, found.ids);
    const refused = `this selects ${found.count} series, more than ${max}: narrow it by select, source, metric or tag.NAME, or ask in parts`;
    return { refused };
  };
}
