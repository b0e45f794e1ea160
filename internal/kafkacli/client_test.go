package kafkacli

import "testing"

func TestJaasCredential(t *testing.T) {
	for jaas, want := range map[string][2]string{
		`org.apache.kafka.common.security.plain.PlainLoginModule required username="alice" password="a;b=c";`: {"alice", "a;b=c"},
		`x required password="quo\"te\\d" username="b\\ob";`:                                                  {`b\ob`, `quo"te\d`},
		`x required;`: {},
	} {
		if user, password := jaasCredential(jaas); user != want[0] || password != want[1] {
			t.Errorf("%s: %q, %q", jaas, user, password)
		}
	}
}

// TestKeystoreInline: a key that is no key is an error, and not left out.
func TestKeystoreInline(t *testing.T) {
	if _, err := (properties{"ssl.keystore.key": "no key", "ssl.keystore.certificate.chain": "no chain"}).tls(); err == nil {
		t.Error("it is taken")
	}
}
