/** The options of kafka-target.ts, as the help of commands that read from Kafka shows them. */

export const kafkaOptionsHelp = `  --kafka HOST[:PORT]  a broker of the cluster (port 9092); several with commas
  -c, --config FILE    an agent's configuration: brokers, login, topics and name as it has them
  --topic NAME         read this topic of records, may be repeated (default weir.summaries, weir.alerts, weir.raw)
  --tls                TLS, with the authorities that come with Node
  --ca FILE            TLS, with these authorities, a PEM file
  --certificate FILE   a client certificate, with --certificate-key FILE
  --server-name NAME   the name in the brokers' certificate, where it is another than that of the address
  --sasl MECHANISM     PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 with --user NAME and --password-file FILE;
                       OAUTHBEARER with --token-file FILE`;
