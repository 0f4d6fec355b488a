-- question: How many of these domains fare how?
-- grain: verdict, every one of them, the gravest first
-- denominator: the domains asked about
-- needs: customer_verdicts
select
    w.word as verdict,
    count(v.domain) as n,
    (select count(*) from customer_verdicts) as of_n,
    coalesce(max(length(v.domain)), 0) as longest
from reference_customer_words w
left join customer_verdicts v on v.verdict = w.word::customer_verdict
where w."column" = 'customer_verdict'
group by w.word
order by w.word::customer_verdict
