package driver

import (
	"context"
	"errors"
)

// ACLAdmin describes all ACLs, and creates and deletes one: User:a may READ topic.
type ACLAdmin interface {
	DescribeACLs(ctx context.Context) error
	CreateACL(ctx context.Context, topic string) error
	DeleteACL(ctx context.Context, topic string) error
}

// SCRAMAdmin is about a user's SCRAM-SHA-256 credential.
type SCRAMAdmin interface {
	DescribeSCRAM(ctx context.Context, user string) error
	DeleteSCRAM(ctx context.Context, user string) error
	UpsertSCRAM(ctx context.Context, user string) error
}

// TokenAdmin is about delegation tokens.
type TokenAdmin interface {
	CreateToken(ctx context.Context) error
	DescribeTokens(ctx context.Context) error
}

// QuotaAdmin is about client-id quotas of producer_byte_rate.
type QuotaAdmin interface {
	// Quotas are the values that are set for the client id.
	Quotas(ctx context.Context, clientID string) ([]float64, error)
	SetQuota(ctx context.Context, clientID string, bytesPerSecond float64) error
}

// Transactions is what a transactional producer does. Its steps are called in order; Write belongs to the transaction
// that Begin began.
type Transactions interface {
	InitTransactions(ctx context.Context, id string) (Transaction, error)
}

// Transaction writes records in transactions.
type Transaction interface {
	Write(ctx context.Context, topic string, records []Record) error // begins one
	Commit(ctx context.Context) error
	Abort(ctx context.Context) error
	Close()
}

func laterACLs(r *Run) error {
	admin, err := offered[ACLAdmin](r, "for ACLs")
	if err != nil {
		return err
	}
	r.fact("describe", admin.DescribeACLs(r.Context))
	r.fact("create", admin.CreateACL(r.Context, r.Topic))
	r.fact("delete", admin.DeleteACL(r.Context, r.Topic))
	return nil
}

func laterSCRAM(r *Run) error {
	admin, err := offered[SCRAMAdmin](r, "for SCRAM credentials")
	if err != nil {
		return err
	}
	r.fact("describe_unknown", admin.DescribeSCRAM(r.Context, "nobody"))
	r.fact("delete_unknown", admin.DeleteSCRAM(r.Context, "nobody"))
	r.fact("upsert", admin.UpsertSCRAM(r.Context, "u"))
	return nil
}

func laterTokens(r *Run) error {
	admin, err := offered[TokenAdmin](r, "for delegation tokens")
	if err != nil {
		return err
	}
	r.fact("create", admin.CreateToken(r.Context))
	r.fact("describe", admin.DescribeTokens(r.Context))
	return nil
}

func laterQuotas(r *Run) error {
	admin, err := offered[QuotaAdmin](r, "for quotas")
	if err != nil {
		return err
	}
	quotas, err := admin.Quotas(r.Context, r.Topic)
	if r.fact("describe", err); err == nil {
		r.Facts["count"] = len(quotas)
	}
	err = admin.SetQuota(r.Context, r.Topic, 1e6)
	if r.fact("altered", err); err != nil {
		return nil
	}
	return r.until("the quota", func() (bool, error) {
		quotas, err := admin.Quotas(r.Context, r.Topic)
		if len(quotas) == 1 {
			r.Facts["value"] = quotas[0]
		}
		return len(quotas) == 1, err
	})
}

func laterTransactions(r *Run) error {
	library, err := offered[Transactions](r, "for transactions")
	if err != nil {
		return err
	}
	if err := r.create(r.Topic, 1, nil); err != nil {
		return err
	}
	txn, err := library.InitTransactions(r.Context, r.Topic)
	if errors.Is(err, ErrUnsupported) {
		return err
	}
	if r.fact("init", err); err != nil {
		return nil
	}
	defer txn.Close()
	for i, step := range []struct {
		name string
		end  func(context.Context) error
	}{{"commit", txn.Commit}, {"abort", txn.Abort}, {"commit", txn.Commit}} {
		if err := txn.Write(r.Context, r.Topic, records(10*i, 10*i+10)); err != nil {
			r.fact("write", err)
			return nil
		}
		if err := step.end(r.Context); err != nil {
			r.fact(step.name, err)
			return nil
		}
		r.fact(step.name, nil)
	}
	visible, err := r.visible()
	r.Facts["visible"] = visible
	if err == nil && visible != 20 {
		return fail("records visible", visible, 20)
	}
	return err
}

// visible counts the committed records up to the last one that was written.
func (r *Run) visible() (int, error) {
	reader, err := r.Library.Read(r.Context, r.Topic, Position{Start: true}, ReadOptions{ReadCommitted: true})
	if err != nil {
		return 0, err
	}
	defer reader.Close()
	n := 0
	for {
		rs, err := reader.Next(r.Context)
		if err != nil {
			return n, err
		}
		for _, record := range rs {
			n++
			if string(record.Key) == "key-0029" {
				return n, nil
			}
		}
	}
}
