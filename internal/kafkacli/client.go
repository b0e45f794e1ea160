package kafkacli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/logbahn/logbahn/internal/config"
)

const (
	defaultServer = "localhost:9092"
	softwareName  = "logbahn-kafka-tools" // as brokers are told
	// connectPatience is how long a tool tries to reach a broker at all.
	connectPatience = 10 * time.Second
	// adminPatience is how long an administrative request may take, Kafka's default.api.timeout.ms.
	adminPatience = 60 * time.Second
)

// properties are settings of a Kafka client, by Kafka's names.
type properties map[string]string

// propertiesBytesMax bounds a properties file, and one with certificates.
const propertiesBytesMax = 16 << 20

// loadProperties reads a properties file; name "" is none.
func loadProperties(name string) (properties, error) {
	p := properties{}
	if name == "" {
		return p, nil
	}
	data, err := readBounded(name, propertiesBytesMax)
	if errors.Is(err, os.ErrNotExist) {
		return nil, failf("%s: no such file", name)
	}
	if err != nil {
		return nil, err
	}
	settings, err := config.ParseProperties(name, data)
	if err != nil {
		return nil, err
	}
	for _, s := range settings {
		p[s.Name] = s.Value
	}
	return p, nil
}

// addPairs adds the key=value words of an option; a word without an equals sign is a key with an empty value.
func (p properties) addPairs(pairs []string) {
	for _, pair := range pairs {
		key, value, _ := strings.Cut(pair, "=")
		p[key] = value
	}
}

// connect makes a client with the properties of --command-config and finds out that a broker answers.
func (c *call) connect(ctx context.Context, servers string, p properties, opts ...kgo.Opt) (*kgo.Client, error) {
	addresses, err := addresses(servers)
	if err != nil {
		return nil, err
	}
	all := []kgo.Opt{kgo.SeedBrokers(addresses...), kgo.SoftwareNameAndVersion(softwareName, KafkaVersion)}
	if id := p["client.id"]; id != "" {
		all = append(all, kgo.ClientID(id))
	}
	security, err := p.security()
	if err != nil {
		return nil, err
	}
	client, err := kgo.NewClient(append(append(append(all, security...), opts...), c.Client...)...)
	if err != nil {
		return nil, err
	}
	reach, cancel := context.WithTimeout(ctx, connectPatience)
	defer cancel()
	if err := client.Ping(reach); err != nil {
		client.Close()
		if ended(ctx) {
			return nil, ctx.Err()
		}
		return nil, failf("Connection to %s could not be established. Node may not be available. (%v)", servers, plainly(err))
	}
	return client, nil
}

// admin is connect for a tool's --bootstrap-server and --command-config, with a deadline for all that it does.
func (c *call) admin(ctx context.Context, do func(ctx context.Context, client *kgo.Client) error) error {
	p, err := loadProperties(c.opts.text("command-config"))
	servers := c.opts.text("bootstrap-server")
	if err = first(c.opts.err, err); err != nil {
		return err
	}
	client, err := c.connect(ctx, servers, p)
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, adminPatience)
	defer cancel()
	return do(ctx, client)
}

// hostPort is what Kafka takes for an address: a name, or an IPv6 address in brackets, and a port.
var hostPort = regexp.MustCompile(`^(?:[A-Za-z0-9+.-]*://)?(?:\[[0-9a-zA-Z:%.]+\]|[^\s:/\[\]]+):\d+$`)

func addresses(servers string) ([]string, error) {
	var list []string
	for _, s := range strings.Split(servers, ",") {
		if s = strings.TrimSpace(s); s == "" {
			continue
		}
		if !hostPort.MatchString(s) {
			return nil, failf("Invalid url in bootstrap.servers: %s", s)
		}
		if _, after, ok := strings.Cut(s, "://"); ok {
			s = after
		}
		list = append(list, s)
	}
	if len(list) == 0 {
		return nil, failf("No resolvable bootstrap urls given in bootstrap.servers")
	}
	return list, nil
}

// plainly is the cause of a failure to connect without the client library's own words.
func plainly(err error) error {
	var dial *net.OpError
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return errors.New("nothing came back in time")
	case errors.As(err, &dial):
		return dial.Err
	}
	return err
}

// security makes what security.protocol and its companions ask for: TLS with PEM files or the system's roots, SASL with
// PLAIN or SCRAM.
func (p properties) security() ([]kgo.Opt, error) {
	protocol := strings.ToUpper(p["security.protocol"])
	if protocol == "" || protocol == "PLAINTEXT" {
		return nil, nil
	}
	var opts []kgo.Opt
	switch protocol {
	case "SSL", "SASL_SSL":
		t, err := p.tls()
		if err != nil {
			return nil, err
		}
		opts = append(opts, kgo.DialTLSConfig(t))
	case "SASL_PLAINTEXT":
	default:
		return nil, failf("Invalid value %s for configuration security.protocol: String must be one of (case insensitive): PLAINTEXT, SASL_PLAINTEXT, SSL, SASL_SSL", p["security.protocol"])
	}
	if !strings.HasPrefix(protocol, "SASL") {
		return opts, nil
	}
	user, password := jaasCredential(p["sasl.jaas.config"])
	switch mechanism := p["sasl.mechanism"]; mechanism {
	case "PLAIN":
		opts = append(opts, kgo.SASL(plain.Auth{User: user, Pass: password}.AsMechanism()))
	case "SCRAM-SHA-256":
		opts = append(opts, kgo.SASL(scram.Auth{User: user, Pass: password}.AsSha256Mechanism()))
	case "SCRAM-SHA-512":
		opts = append(opts, kgo.SASL(scram.Auth{User: user, Pass: password}.AsSha512Mechanism()))
	default:
		return nil, fmt.Errorf("sasl.mechanism %q: there are PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512", mechanism)
	}
	return opts, nil
}

func (p properties) tls() (*tls.Config, error) {
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if name := p["ssl.truststore.location"]; name != "" || p["ssl.truststore.certificates"] != "" {
		pem, err := p.pem("ssl.truststore", "certificates")
		if err != nil {
			return nil, err
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ssl.truststore.location %s: no PEM certificate in it; keep ssl.truststore.type PEM", name)
		}
	}
	if key := p["ssl.keystore.key"]; key != "" {
		pair, err := tls.X509KeyPair([]byte(p["ssl.keystore.certificate.chain"]), []byte(key))
		if err != nil {
			return nil, fmt.Errorf("ssl.keystore.certificate.chain and ssl.keystore.key: %w", err)
		}
		t.Certificates = []tls.Certificate{pair}
	} else if name := p["ssl.keystore.location"]; name != "" {
		pem, err := readBounded(name, propertiesBytesMax)
		if err != nil {
			return nil, err
		}
		pair, err := tls.X509KeyPair(pem, pem)
		if err != nil {
			return nil, fmt.Errorf("ssl.keystore.location %s: %w", name, err)
		}
		t.Certificates = []tls.Certificate{pair}
	}
	return t, nil
}

func (p properties) pem(store, inline string) ([]byte, error) {
	if text := p[store+"."+inline]; text != "" {
		return []byte(text), nil
	}
	return readBounded(p[store+".location"], propertiesBytesMax)
}

var (
	jaasUser     = regexp.MustCompile(`\busername="((?:[^"\\]|\\.)*)"`)
	jaasUnquoted = strings.NewReplacer(`\\`, `\`, `\"`, `"`)
	jaasPassword = regexp.MustCompile(`\bpassword="((?:[^"\\]|\\.)*)"`)
)

// jaasCredential takes user and password out of a sasl.jaas.config.
func jaasCredential(jaas string) (user, password string) {
	if m := jaasUser.FindStringSubmatch(jaas); m != nil {
		user = jaasUnquoted.Replace(m[1])
	}
	if m := jaasPassword.FindStringSubmatch(jaas); m != nil {
		password = jaasUnquoted.Replace(m[1])
	}
	return user, password
}
