import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.stream.Collectors;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.Encoder;
import org.apache.avro.io.EncoderFactory;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Reads a topic the way others read it: the official consumer with read_committed, Jackson for JSON,
 * the Avro library for what begins with Confluent's magic byte 0. Prints one JSON line per record,
 * from the beginning of each partition to where read_committed ended when it was started.
 *
 * Usage: java -cp 'libs/*' ReadRecords.java BOOTSTRAP TOPIC [SCHEMA-ID=SCHEMA-FILE...]
 */
public final class ReadRecords {
  private static final byte CONFLUENT_MAGIC = 0;
  private static final ObjectMapper JSON = new ObjectMapper();

  public static void main(String[] args) throws Exception {
    Map<Integer, Schema> schemas = schemasOf(List.of(args).subList(2, args.length));
    PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
    try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(settings(args[0]))) {
      List<TopicPartition> partitions =
          consumer.partitionsFor(args[1]).stream()
              .map(of -> new TopicPartition(of.topic(), of.partition()))
              .collect(Collectors.toList());
      consumer.assign(partitions);
      consumer.seekToBeginning(partitions);
      Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
      while (isBehind(consumer, ends)) {
        for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(200))) {
          out.println(JSON.writeValueAsString(describe(record, schemas)));
        }
      }
    }
    out.flush();
  }

  private static Properties settings(String bootstrap) {
    Properties settings = new Properties();
    settings.put("bootstrap.servers", bootstrap);
    settings.put("isolation.level", "read_committed");
    settings.put("enable.auto.commit", "false");
    settings.put("key.deserializer", ByteArrayDeserializer.class.getName());
    settings.put("value.deserializer", ByteArrayDeserializer.class.getName());
    return settings;
  }

  private static Map<Integer, Schema> schemasOf(List<String> args) throws Exception {
    Map<Integer, Schema> schemas = new HashMap<>();
    for (String arg : args) {
      String[] parts = arg.split("=", 2);
      schemas.put(Integer.parseInt(parts[0]), new Schema.Parser().parse(new File(parts[1])));
    }
    return schemas;
  }

  /** Positions also pass over markers and aborted records, which poll never returns. */
  private static boolean isBehind(
      KafkaConsumer<byte[], byte[]> consumer, Map<TopicPartition, Long> ends) {
    return ends.entrySet().stream().anyMatch(end -> consumer.position(end.getKey()) < end.getValue());
  }

  private static JsonNode describe(
      ConsumerRecord<byte[], byte[]> record, Map<Integer, Schema> schemas) throws Exception {
    ObjectNode line = JSON.createObjectNode();
    line.put("partition", record.partition());
    line.put("offset", record.offset());
    line.put("timestamp", record.timestamp());
    if (record.key() != null) line.put("key", new String(record.key(), StandardCharsets.UTF_8));
    ObjectNode headers = line.putObject("headers");
    for (Header header : record.headers()) {
      headers.put(header.key(), new String(header.value(), StandardCharsets.UTF_8));
    }
    byte[] value = record.value();
    if (value == null) return line;
    boolean isAvro = value.length > 0 && value[0] == CONFLUENT_MAGIC;
    line.put("encoding", isAvro ? "avro" : "json");
    line.set("value", isAvro ? decodeAvro(value, schemas) : JSON.readTree(value));
    return line;
  }

  /** Magic byte 0, schema id (4 bytes, big endian), Avro binary; and nothing behind it. */
  private static JsonNode decodeAvro(byte[] value, Map<Integer, Schema> schemas) throws Exception {
    int id = ByteBuffer.wrap(value, 1, 4).getInt();
    Schema schema = schemas.get(id);
    if (schema == null) throw new IllegalArgumentException("no schema given for id " + id);
    BinaryDecoder decoder = DecoderFactory.get().binaryDecoder(value, 5, value.length - 5, null);
    Object datum = new GenericDatumReader<>(schema).read(null, decoder);
    if (!decoder.isEnd()) throw new IllegalArgumentException("bytes left after the Avro value");
    return JSON.readTree(toJson(schema, datum));
  }

  /** Avro's own JSON: a value of a union other than null comes as {"branch": value}. */
  private static byte[] toJson(Schema schema, Object datum) throws Exception {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    Encoder encoder = EncoderFactory.get().jsonEncoder(schema, bytes);
    new GenericDatumWriter<>(schema).write(datum, encoder);
    encoder.flush();
    return bytes.toByteArray();
  }
}
