package main

import (
	"context"
	"errors"

	"github.com/logbahn/logbahn/interop/clients/go/driver"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func readACL(topic string) *kadm.ACLBuilder {
	return kadm.NewACLs().Topics(topic).Allow("User:a").AllowHosts("*").Operations(kadm.OpRead).ResourcePatternType(kadm.ACLPatternLiteral)
}

func (l *library) DescribeACLs(ctx context.Context) error {
	any := kadm.NewACLs().AnyResource().Allow().Deny().AllowHosts().DenyHosts().Operations().ResourcePatternType(kadm.ACLPatternAny)
	results, err := l.Client.DescribeACLs(ctx, any)
	for _, result := range results {
		err = errors.Join(err, result.Err)
	}
	return err
}

func (l *library) CreateACL(ctx context.Context, topic string) error {
	results, err := l.CreateACLs(ctx, readACL(topic))
	for _, result := range results {
		err = errors.Join(err, result.Err)
	}
	return err
}

func (l *library) DeleteACL(ctx context.Context, topic string) error {
	results, err := l.DeleteACLs(ctx, readACL(topic))
	for _, result := range results {
		err = errors.Join(err, result.Err)
	}
	return err
}

func (l *library) DescribeSCRAM(ctx context.Context, user string) error {
	described, err := l.DescribeUserSCRAMs(ctx, user)
	return errors.Join(err, described[user].Err)
}

func (l *library) DeleteSCRAM(ctx context.Context, user string) error {
	altered, err := l.AlterUserSCRAMs(ctx, []kadm.DeleteSCRAM{{User: user, Mechanism: kadm.ScramSha256}}, nil)
	return errors.Join(err, altered[user].Err)
}

func (l *library) UpsertSCRAM(ctx context.Context, user string) error {
	upsert := kadm.UpsertSCRAM{User: user, Mechanism: kadm.ScramSha256, Iterations: 8192, Password: "secret"}
	altered, err := l.AlterUserSCRAMs(ctx, nil, []kadm.UpsertSCRAM{upsert})
	return errors.Join(err, altered[user].Err)
}

func (l *library) CreateToken(ctx context.Context) error {
	_, err := l.CreateDelegationToken(ctx, kadm.CreateDelegationToken{})
	return err
}

func (l *library) DescribeTokens(ctx context.Context) error {
	_, err := l.DescribeDelegationTokens(ctx)
	return err
}

func (l *library) SetQuota(ctx context.Context, clientID string, bytesPerSecond float64) error {
	altered, err := l.AlterClientQuotas(ctx, []kadm.AlterClientQuotaEntry{{
		Entity: kadm.ClientQuotaEntity{{Type: "client-id", Name: &clientID}},
		Ops:    []kadm.AlterClientQuotaOp{{Key: "producer_byte_rate", Value: bytesPerSecond}},
	}})
	for _, quota := range altered {
		err = errors.Join(err, quota.Err)
	}
	return err
}

func (l *library) Quotas(ctx context.Context, clientID string) ([]float64, error) {
	described, err := l.DescribeClientQuotas(ctx, true, []kadm.DescribeClientQuotaComponent{{
		Type: "client-id", MatchName: &clientID, MatchType: kmsg.QuotasMatchTypeExact,
	}})
	var values []float64
	for _, quota := range described {
		for _, value := range quota.Values {
			values = append(values, value.Value)
		}
	}
	return values, err
}

type transaction struct{ cl *kgo.Client }

func (l *library) InitTransactions(ctx context.Context, id string) (driver.Transaction, error) {
	cl, err := kgo.NewClient(l.seeds, kgo.TransactionalID(id), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		return nil, err
	}
	if _, _, err := cl.ProducerID(ctx); err != nil {
		cl.Close()
		return nil, err
	}
	return &transaction{cl}, nil
}

func (t *transaction) Write(ctx context.Context, topic string, records []driver.Record) error {
	if err := t.cl.BeginTransaction(); err != nil {
		return err
	}
	return t.cl.ProduceSync(ctx, toKgo(topic, records)...).FirstErr()
}

func (t *transaction) Commit(ctx context.Context) error {
	return t.cl.EndTransaction(ctx, kgo.TryCommit)
}
func (t *transaction) Abort(ctx context.Context) error { return t.cl.EndTransaction(ctx, kgo.TryAbort) }
func (t *transaction) Close()                          { t.cl.Close() }
