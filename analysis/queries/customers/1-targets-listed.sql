-- question: Which domains does the list of customers name?
-- grain: domain, however often the list has it
-- needs: customer_list (place, listed, domain)
select domain, min(place) as place, arg_min(listed, place) as listed
from customer_list
group by domain
