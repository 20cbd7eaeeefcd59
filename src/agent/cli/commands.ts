/** The commands: one line each here, one file each beside. */

import type { Command } from "./command.ts";
import { kafkaOptionsHelp } from "./kafka-options-help.ts";

export const commands: readonly Command[] = [
  {
    name: "demo",
    summary: "a simulated plant through a real agent, nothing to install",
    help: `usage: weir demo [OPTIONS]

Starts an agent with an embedded MQTT broker on loopback and a simulated plant that publishes to it.
Summaries and alerts go to NDJSON files in the data folder, or to Kafka. Ctrl-C ends it cleanly.

  --seconds N    end after N seconds (default: run until Ctrl-C)
  --devices N    simulated devices (default 300)
  --seed N       seed of the simulation (default 1)
  --real         replay recorded humidity and temperature motes instead; alerts beside their labels
  --kafka H:PORT summaries and alerts go to this Kafka broker, each exactly once; exit code 1 where
                 something keeps them from it
  --data DIR     data folder (default ./weir-demo-data); a second run continues it
  --fresh        empty the data folder first
  --port N       MQTT port, which must be free (default 1883, or the next free one)
  --http N       HTTP port, likewise (default 8080, or the next free one)
  --plain        plain lines even on a terminal`,
    load: () => import("./demo.ts"),
  },
  {
    name: "run",
    summary: "run the agent that a configuration file describes",
    help: `usage: weir run -c weir.yaml

  -c, --config FILE   configuration (default ./weir.yaml)
  --seconds N         end after N seconds
  --json              log lines as JSON

SIGTERM, SIGINT and SIGHUP end it cleanly: what was received is appended, applied and committed.`,
    load: () => import("./run.ts"),
  },
  {
    name: "check",
    summary: "check a configuration and explain what it means",
    help: `usage: weir check [-c weir.yaml]

Prints every error with file, line and column (exit 78), or the effective configuration.`,
    load: () => import("./check.ts"),
  },
  {
    name: "status",
    summary: "ask a running agent how it is",
    help: `usage: weir status [-c weir.yaml | --url http://127.0.0.1:8080] [OPTIONS]

Prints state, rates, log, outbox and the ledger. Exit 0 when it is running, 1 otherwise.

  --alive            ask no more than whether it is alive: exit 0 also where it is degraded or waits for
                     its disk. Needs no token
  -c, --config FILE  its configuration, which says where its HTTP side is (weir.yaml, if it is here)
  --url URL          address of its HTTP side (default http://127.0.0.1:8080)
  --token-file FILE  where it wants a token: the file that holds it
  --ca FILE          https: the authority of its certificate, a PEM file
  --json             print JSON`,
    load: () => import("./status-command.ts"),
  },
  {
    name: "query",
    summary: "readings and what they add up to, from a running agent",
    help: `usage: weir query [SELECTOR...] [OPTIONS]

SELECTOR names series, * stands for any characters: 'temp*{device=p1}', temperature, '{line=a}'.
Without one, all. Without further options, the latest reading of each.

  --series            which series there are
  --latest            the latest reading of each
  --readings          the readings
  --distinct WHAT     how many devices or series had readings
  --step 10m          the span in steps of this...
  --points N          ...or in about so many steps (default 300)
  --aggregates LIST   of each step: some of count,numbers,min,max,mean,sum,variance
  --from T  --to T    the span: -7d, now, 2026-11-28T10:00:00Z (UTC), or milliseconds since 1970
                      (default: the last hour)
  --source NAME       only series of this source
  --limit N           so many rows (of --readings, --series)
  --explain           what it has cost
  --json              rows as JSON, one a line; the last says whether that was all

  -c, --config FILE   configuration of the agent, which says where its HTTP side is (weir.yaml, if it is here)
  --url URL           address of its HTTP side (default http://127.0.0.1:8080)
  --token-file FILE   where it wants a token: the file that holds it
  --ca FILE           https: the authority of its certificate, a PEM file

Exit 0 when that was all there is, or more was not asked for; 1 when something is damaged, or it took
too long.`,
    load: () => import("./query-command.ts"),
  },
  {
    name: "raw",
    summary: "have a running agent send raw readings upstream",
    help: `usage: weir raw ask SELECTOR... [--from T] [--to T] [OPTIONS]
       weir raw list [OPTIONS]
       weir raw cancel ID [OPTIONS]
       weir raw ask SELECTOR... --kafka HOST[:PORT] --topic NAME --agent NAME [OPTIONS]
       weir raw cancel ID --kafka HOST[:PORT] --topic NAME --agent NAME [OPTIONS]

ask      the readings of these series and this span go to the uplinks, behind alerts and what is fresh,
         and end with a manifest: how many there are, their digest, and what is missing. Prints the
         request's id. SELECTOR is that of weir query
list     requests that are open, and the newest of those that were answered
cancel   what was sent stays; a manifest says that it is not all

With --kafka it is a command in the topic that the agent reads (commands of its uplink), now or when it
is back; what comes of it, a refusal too, is a manifest in the topic of raw readings.

  --from T  --to T    the span: -7d, now, 2026-11-28T10:00:00Z (UTC), or milliseconds since 1970
                      (default: the last hour). An end ahead of now is waited for, a day at most
  --priority WORD     high, normal (default) or low: of several requests the first goes first
  --id ID             the same id again is the same request (default: one is made up)
  --expires T         with --kafka: an agent that reads it later refuses it
  --json              print JSON

  -c, --config FILE   configuration of the agent (weir.yaml, if it is here), which says where its HTTP
                      side is; with --kafka its login, its name and the topic
  --url URL           address of its HTTP side (default http://127.0.0.1:8080)
  --token-file FILE   where it wants a token: the file that holds it; to ask takes an operator's
  --ca FILE           https, TLS to Kafka: the authority of its certificate, a PEM file
                      TLS and login at Kafka: the options of weir tail`,
    load: () => import("./raw-command.ts"),
  },
  {
    name: "link",
    summary: "pause and resume what a running agent sends, and give a link a budget",
    help: `usage: weir link [OPTIONS]
       weir link pause [UPLINK] [--for 15m] [OPTIONS]
       weir link resume [UPLINK] [OPTIONS]
       weir link budget LINK [SIZE] [OPTIONS]

Without a word: how uplinks and links are, what waits, and why. The others print the same, once what they
ask for is durable: it holds across restarts and power cuts, and the configuration stays as it is.

pause    nothing begins to be sent to this uplink, or to all of them: alerts neither. What is under way is
         brought to its end, what comes waits in the outbox. It ends by weir link resume, or by itself
resume   what waits is sent: what is fresh first
budget   of the quota of this link: so many bytes (50MB) in the current day or month, in the place of those
         of the configuration; without a size as configured again

  --for 15m           so long, then it is resumed by itself (1s to 365d; default: until it is resumed)
  --json              print JSON, as GET /v1/link

  -c, --config FILE   configuration of the agent (weir.yaml, if it is here), which says where its HTTP side is
  --url URL           address of its HTTP side (default http://127.0.0.1:8080)
  --token-file FILE   where it wants a token: the file that holds it; to change something takes an operator's
  --ca FILE           https: the authority of its certificate, a PEM file`,
    load: () => import("./link-command.ts"),
  },
  {
    name: "upstream",
    summary: "prove that what agents have sent to Kafka is whole",
    help: `usage: weir upstream verify --kafka HOST[:PORT] | -c weir.yaml [OPTIONS]

Reads the topics of an agent as a read_committed consumer, from their beginning, and proves: of each
outbox and lane every number is there once, none is missing up to the cursor, and the values have the
digest that the cursors say; no window is followed by an older revision of itself. Prints what was
proven, and what the newest revisions and the gaps of each pipeline add up to. Exit 0; otherwise 1,
and the first break by topic, partition, offset, outbox, lane and number.

${kafkaOptionsHelp}
  --agent NAME         this agent alone (default: that of the configuration, else all there are)
  --cursors NAME       the topic of cursors (default weir.cursor)
  --begun-elsewhere    the cluster took the place of another, which has the first records
  --json               print JSON`,
    load: () => import("./upstream.ts"),
  },
  {
    name: "tail",
    summary: "follow what agents send to Kafka",
    help: `usage: weir tail --kafka HOST[:PORT] | -c weir.yaml [OPTIONS]

Prints the records that are committed from now on, one a line, each with a word for what it is: fresh,
backfilled, coarser (in place of several windows), corrected, withdrawn, known already, alert, gap.

${kafkaOptionsHelp}
  --agent NAME         of this agent (default: that of the configuration); here and below * stands for
  --pipeline NAME      any characters
  --key PATTERN        of keys like this, such as 'device=p1*'
  --all                from the beginning of the topics on
  --no-follow          end with what is there now
  --seconds N          end after N seconds
  --json               print JSON, one record a line`,
    load: () => import("./tail.ts"),
  },
  {
    name: "sim",
    summary: "a fleet of simulated devices with labelled faults; outage scripts against an agent",
    help: `usage: weir sim [real] [OPTIONS]
       weir sim --scenario FILE [--verify] [--data DIR] [--drain TIME] [--json]

Publishes to any MQTT broker. weir sim -- --help shows all options of the simulator.

  --host HOST  --port N  --devices N  --seed N  --seconds N  --truth FILE

With a scenario it starts an agent of its own, lets a fleet publish to it, and plays what FILE says goes
wrong: cuts, loss, delay and bandwidth of its link, kills, a full disk, commands (docs/scenarios.md). Then
it waits until all is upstream.

  --scenario FILE  the script
  --verify         compare what was acknowledged to the fleet with what is upstream: exit 1 at any loss
                   or repetition, and name it
  --data DIR       what the agent keeps (default ./weir-sim-data), emptied first
  --drain TIME     how long that may take in the end (default 10m)
  --program FILE   another weir to start: a packed file, or a script that starts one (default: this one)
  --json           print JSON`,
    load: () => import("./sim.ts"),
  },
  {
    name: "replay",
    summary: "feed a CSV or NDJSON file through the pipelines as if it arrived",
    help: `usage: weir replay FILE -c weir.yaml --topic TEMPLATE [OPTIONS]

Runs the configured agent without listeners and gives it the rows of FILE as messages. Its state and
its upstream files go to a data directory of its own, which is emptied first.

  -c, --config FILE    configuration (default ./weir.yaml)
  --data DIR           data directory of the replay (default ./weir-replay-data)
  --topic TEMPLATE     topic of each row; {column} stands for a column's value, e.g. rig/{unit}/valve/state
  --time COLUMN        column with the device time (default: the time field of the source)
  --separator CHAR     column separator of a CSV file (default: found in the header)
  --json               print the final ledger as JSON`,
    load: () => import("./replay.ts"),
  },
  {
    name: "dlq",
    summary: "messages that could not be decoded",
    help: `usage: weir dlq list [--limit N] [OPTIONS]
       weir dlq show NUMBER [OPTIONS]

Lists the dead letters an agent keeps, newest first, or shows one with its bytes. Reads the data
directory, beside a running agent or without one; with --url, --token-file or --ca it asks a running
agent.

  --limit N           so many at most (default 20)
  --json              print JSON

  -c, --config FILE   configuration of the agent, which says where its data is (default ./weir.yaml), or
                      its HTTP side
  --data DIR          the data directory itself
  --url URL           address of its HTTP side, as http://127.0.0.1:8080
  --token-file FILE   where it wants a token: the file that holds it
  --ca FILE           https: the authority of its certificate, a PEM file`,
    load: () => import("./dlq.ts"),
  },
  {
    name: "backup",
    summary: "copy the data of an agent while it runs",
    help: `usage: weir backup DIR [-c weir.yaml | --data DATA] [--json]
       weir backup --list [-c weir.yaml | --data DATA] [--json]

Copies everything an agent can go on from: readings, summaries, operator state, what waits for the
uplinks. The agent need not stop, and does not wait. DIR must be empty or not there; it is whole or
it is not there at all. The data directory remembers its backups and where they were put.

  --list             print the backups that are known, and whether they are still there
  -c, --config FILE  the agent's configuration, which says where its data is
  --data DATA        the data directory itself
  --json             print JSON`,
    load: () => import("./backup.ts"),
  },
  {
    name: "restore",
    summary: "make a data directory from a backup, or from a savepoint in Kafka",
    help: `usage: weir restore DIR [-c weir.yaml | --data DATA] [--json]
       weir restore --from-kafka HOST[:PORT] [-c weir.yaml | --agent NAME --data DATA] [OPTIONS]

Checks every file of the backup DIR and copies it to the data directory, which must be empty or not
there. What was received after the backup is not in it. An uplink to Kafka notices that an older
state came back, and says what it does about it.

  -c, --config FILE    the agent's configuration, which says where its data shall be
  --data DATA          the data directory itself
  --json               print JSON

With --from-kafka this hardware takes the place of a gateway that is gone, under its name: its newest
savepoint in the cluster becomes the data directory. Stop the old gateway first; from then on it halts
if it comes back. What it had sent is not sent again, and no window that it had sent is replaced by
what the savepoint knows of it. Readings after the savepoint that it had not sent are lost: a gap record
of each pipeline says so. The topics that it sent to are those that the savepoint names.
docs/operations.md says when to use it.

  --agent NAME         the name to take (default: that of the configuration)
  --topic NAME         the topic of savepoints (default weir.savepoints)
  --tls, --ca FILE, --certificate FILE, --certificate-key FILE, --server-name NAME
  --sasl MECHANISM, --user NAME, --password-file FILE, --token-file FILE
                       as weir upstream verify has them`,
    load: () => import("./restore.ts"),
  },
  {
    name: "savepoint",
    summary: "the state of an agent without its readings, in one file that later versions open",
    help: `usage: weir savepoint create NAME [--dir DIR] [-c weir.yaml | --data DATA] [--json]
       weir savepoint restore FILE|NAME [--dir DIR] [-c weir.yaml | --data DATA] [--json]
       weir savepoint list [--dir DIR] [-c weir.yaml | --data DATA] [--json]

create   writes operator state, names, ledger, outbox and the progress of the uplinks to one file. The
         agent must be stopped, in good order: outputs of one that runs are ahead of its last checkpoint,
         and would be sent again
restore  makes a data directory from it, which must be empty or not there: windows go on where they were,
         uplinks know what they have. A NAME is looked for in DIR: say --dir, or name the file. Readings,
         dead letters and wear stay with the old directory; run no more than one of both
list     reads all of DIR to their ends; exit 1 where one is not whole

  --dir DIR          where savepoints are (default: savepoints in the data directory)
  -c, --config FILE  the agent's configuration, which says where its data is (default ./weir.yaml)
  --data DATA        the data directory itself
  --json             print JSON`,
    load: () => import("./savepoint.ts"),
  },
  {
    name: "store",
    summary: "look after the readings on disk: verify, inspect, repair, compact, wear, erase",
    help: `usage: weir store verify|inspect|repair|compact [-c weir.yaml | --data DIR] [--json]
       weir store inspect TABLE [-c weir.yaml | --data DIR] [--json]
       weir store wear [--endurance 117TB] [-c weir.yaml | --data DIR] [--json]
       weir store erase --device NAME | --series 'metric{tag=value}' [--yes] [-c weir.yaml] [--json]

verify   reads everything: log, state store, and every block of every table, and compares it with what is
         said of it. Prints what is wrong, where, and what to do; exit 1 where something is. Changes
         nothing; beside a running agent or without one
inspect  lists the tables, or shows the sections, series and blocks of one; beside a running agent, too
repair   sets tables aside that cannot be read, writes others again without what is damaged, removes files
         that no list names, and counts what is lost; the agent must be stopped (it does the same by
         itself when it comes across damage)
compact  merges the tables of each day; the agent must be stopped (it does the same by itself later)
wear     what is written to the card a day, by all programs, and how long it lasts
erase    leaves no byte of what a device has sent in any file; tells which backups still have it, and which
         aggregates it shares with others. Without --yes it only says what it would erase. The agent
         must be stopped

  -c, --config FILE   configuration (default ./weir.yaml)
  --data DIR          the data directory, instead of a configuration
  --device NAME       erase: all series with the tag device=NAME
  --series SELECTOR   erase: the series of a selector, as for weir query
  --yes               erase: do it
  --endurance BYTES   wear: what the maker of the card says can be written to it, as 117TB
  --json              print JSON`,
    load: () => import("./store.ts"),
  },
  {
    name: "user",
    summary: "users of the embedded MQTT broker and their passwords",
    help: `usage: weir user add|passwd|remove NAME [OPTIONS]
       weir user list [OPTIONS]
       weir user hash [--password-stdin]

Changes the file of users that mqtt.usersFile names. A running agent reads it again within seconds: new
users may connect, removed ones and those with a new password are disconnected. hash prints what may
stand as passwordHash in the configuration.

The password is asked for on the terminal, and never an argument. It is kept as a scrypt hash.

  --file FILE         the file of users (default: mqtt.usersFile of the configuration)
  -c, --config FILE   configuration (default ./weir.yaml)
  --password-stdin    the password is the first line of standard input
  --json              list: print JSON`,
    load: () => import("./user.ts"),
  },
  {
    name: "token",
    summary: "a token for the HTTP side",
    help: `usage: weir token new [--name NAME] [--role viewer|operator|admin|publisher] [--expires DAY]

Prints a new random token, once, and beside it (on standard error) its lines for http.tokens of the
configuration, which hold no more than its hash. Who has the token says: Authorization: Bearer TOKEN

  --name NAME     whose it is (default me)
  --role ROLE     what it is good for (default viewer)
  --expires DAY   its last day, as 2027-01-31 (default never)`,
    load: () => import("./token.ts"),
  },
  {
    name: "doctor",
    summary: "is this machine fit for an agent? clock, disk, limits, ports, certificates, uplinks",
    help: `usage: weir doctor [-c weir.yaml] [OPTIONS]

Looks at the clock, the disk of the data directory (with a file of at most 16 MiB that is gone
afterwards), limits of the kernel, memory, ports, certificates, files that are to be secret, and whether
brokers and uplinks answer and let us in. Each finding is ok, advice or a fault, and says what to do.
Beside a running agent or without one; changes nothing. Exit 0 without faults, 1 with one.

  -c, --config FILE   the agent's configuration (default ./weir.yaml; without it the machine alone)
  --endurance BYTES   what the maker of the card says can be written to it, as 117TB
  --json              one JSON object`,
    load: () => import("./doctor.ts"),
  },
  {
    name: "install-service",
    summary: "make the agent a service of systemd",
    help: `usage: weir install-service [OPTIONS]

For machines without the Debian package, as root. Writes /etc/systemd/system/weir.service, which starts
this very program, and /etc/sysusers.d/weir.conf, its user; and a configuration that keeps to loopback
where there is none. It starts nothing: what is left to do is printed as commands.

  -c, --config FILE   configuration (default /etc/weir/weir.yaml). Where it says that the agent writes,
                      the service may
  --user NAME         its user and group (default weir)
  --program FILE      what the service starts (default: this very program)
  --root DIR          write below DIR, for an image that is being made; nothing of DIR is run
  --dry-run           print the files and what is next, and write nothing`,
    load: () => import("./install-service.ts"),
  },
  {
    name: "remote",
    summary: "configurations that are sent to agents: keys, signatures, what became of them",
    help: `usage: weir remote keygen --out FILE [--name NAME]
       weir remote sign FILE --key KEYFILE --agent NAME|GLOB --version N [--expires T]
                        [--may-delete] [--out FILE]
       weir remote status [-c weir.yaml | --data DIR] [--json | --body]

keygen  makes a key: the private one into FILE, which is for its owner alone; prints the public one, as
        remote.keys of a configuration has it
sign    signs the sections of FILE (sources, pipelines, ...) as a document that agents take from a topic:
        a retained MQTT message, or a record of a compacted Kafka topic with the agent as its key
status  what is in force in a data directory, and the audit log: accepted, proven, rolled back, refused

  -o, --out FILE     keygen: the private key; sign: the document (default: standard output)
  --name NAME        keygen: what the audit log calls it (default ops)
  -k, --key KEYFILE  sign: the private key
  --agent NAME       sign: for this agent; * stands for any characters
  --version N        sign: higher than that of every document before
  --expires T        sign: no agent accepts it later: its last day, as 2027-01-31, or 30d from now
  --may-delete       sign: agents take it where store or limits change, or an uplink is left out: what
                     that deletes, no rollback brings back
  -c, --config FILE  status: the agent's configuration (default ./weir.yaml)
  --data DIR         status: the data directory itself
  --body             status: the YAML of the document that is in force, and nothing else
  --json             status: print JSON

docs/remote.md says how it goes.`,
    load: () => import("./remote.ts"),
  },
  {
    name: "selftest",
    summary: "does everything in this program run on this machine?",
    help: `usage: weir selftest [--json] [--directory DIR]

Uses each part once, for real: state store, a whole agent with MQTT, log, windows, uplink, status page
and a restart, Kafka's codecs, TLS. Needs no network but loopback, and some MB in a folder of its own,
which it removes. Exit 0 when all pass, 1 otherwise.

  --directory DIR  make the folder there (default: where temporary files go)
  --json           one JSON object`,
    load: () => import("./selftest.ts"),
  },
  {
    name: "bench",
    summary: "what weir costs on this machine",
    help: `usage: weir bench ingest|fairness|operators|uplink [--json] [--tiny]

ingest     CPU per message from the socket to a synced log and an updated window, beside a plain
           broker with JSON.parse and no disk, in the same run
fairness   what floods, slow bytes, connections without end and a thousand clients that come back
           cost a hundred normal ones: their latencies beside and without
operators  nanoseconds per reading and bytes per series of windows, EWMA and Count-Min
uplink     records per second and CPU per record from a full outbox into Kafka, beside the client's
           own producer, and how late an alert is there; needs java, mvn and kcat for a broker of its
           own, or WEIR_TEST_KAFKA=host:port`,
    load: () => import("./bench.ts"),
  },
];
